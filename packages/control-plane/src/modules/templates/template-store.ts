// Rows of templates and of the copies that wait. A launch takes a copy by deleting its row in its own transaction, so no two
// launches get the same one, and one that fails leaves it where it was.
import type { DesiredShell, DesiredTemplate } from '@virga/contract/agent/warm';
import type { HostId, InstanceId, TemplateId } from '@virga/contract/ids';
import type { WarmImage } from '@virga/contract/rest/warm-images';
import { type Selectable, sql } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import type { Db, Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import type { Database } from '../../store/schema.ts';
import { templateDomain, type WarmCandidate } from './template.ts';

export type TemplateRow = Selectable<Database['image_templates']>;
export type ShellRow = Selectable<Database['template_shells']>;

/** From where a launch begins: a copy that waits, or a template that one is made of. */
export type WarmOrigin = { templateId: TemplateId; hostId: HostId; instanceId: InstanceId | null };

export function desiredTemplateOf(row: TemplateRow, cloudId: string): DesiredTemplate {
  return {
    ...{ id: row.id, cloudId, ...templateDomain(row.id) },
    imageId: row.image_id,
    vcpus: row.vcpus,
    memoryMib: row.memory_mib,
    diskBytes: row.disk_bytes,
  };
}

/** Until its instance is off for the first time, its domain is called so. */
export const desiredShellOf = (row: Pick<ShellRow, 'instance_id' | 'template_id'>, cloudId: string): DesiredShell => ({
  ...{ id: row.instance_id, cloudId, templateId: row.template_id },
  uuid: uuidOf(row.instance_id),
  domainName: `spare.${row.instance_id}`,
});

/** Takes what the launch can begin from, on a host that has room; undefined when there is none. */
export async function takeWarmOrigin(
  tx: Tx,
  _access: ProjectAccess<'operator'>,
  { image, vcpus, memoryMib, diskBytes }: WarmCandidate,
): Promise<WarmOrigin | undefined> {
  if (image === null) return undefined;
  const ready = tx
    .selectFrom('image_templates')
    .innerJoin('hosts', 'hosts.id', 'image_templates.host_id')
    .where('image_templates.image_id', '=', image.id)
    .where('image_templates.desired', '=', 'kept')
    .where('image_templates.state', '=', 'ready')
    .where('image_templates.vcpus', '=', vcpus)
    .where('image_templates.memory_mib', '=', memoryMib)
    .where('image_templates.disk_bytes', '=', diskBytes)
    .where('hosts.state', '=', 'ready')
    .where('hosts.storage_headroom_bytes', '>', 0)
    .where(sql<boolean>`hosts.schedulable_memory_mib >= hosts.allocated_memory_mib + ${memoryMib}`)
    .where(sql<boolean>`hosts.schedulable_vcpus >= hosts.allocated_vcpus + ${vcpus}`);
  const waiting = ready
    .innerJoin('template_shells', 'template_shells.template_id', 'image_templates.id')
    .where('template_shells.state', '=', 'ready')
    .select('template_shells.instance_id')
    .limit(1)
    .forUpdate('template_shells')
    .skipLocked();
  const shell = await tx
    .deleteFrom('template_shells')
    .where('instance_id', '=', waiting)
    .returningAll()
    .executeTakeFirst();
  if (shell) {
    await notify(tx, 'templates', shell.host_id);
    return { templateId: shell.template_id, hostId: shell.host_id, instanceId: shell.instance_id };
  }
  const template = await ready.select(['image_templates.id', 'image_templates.host_id']).limit(1).executeTakeFirst();
  return template && { templateId: template.id, hostId: template.host_id, instanceId: null };
}

/** Templates as people are told of them. */
export const selectWarmImages = (db: Db | Tx) =>
  db
    .selectFrom('image_templates')
    .innerJoin('images', 'images.id', 'image_templates.image_id')
    .innerJoin('hosts', 'hosts.id', 'image_templates.host_id')
    .selectAll('image_templates')
    .select([
      'images.name as image_name',
      'hosts.name as host_name',
      sql<number>`(select count(*)::int from template_shells s
        where s.template_id = image_templates.id and s.state = 'ready')`.as('waiting'),
    ]);

export type WarmImageRow = TemplateRow & { image_name: string; host_name: string; waiting: number };

export function toWarmImage(row: WarmImageRow): WarmImage {
  return {
    id: row.id,
    imageId: row.image_id,
    imageName: row.image_name,
    hostId: row.host_id,
    hostName: row.host_name,
    type: row.type,
    vcpus: row.vcpus,
    memoryMib: row.memory_mib,
    diskBytes: row.disk_bytes,
    pool: row.pool,
    waiting: row.waiting,
    state: row.desired === 'dropped' ? 'dropped' : row.state,
    stateReason: row.failure && `${row.failure.detail} ${row.failure.action}`,
    createdAt: row.created_at.toISOString(),
  };
}
