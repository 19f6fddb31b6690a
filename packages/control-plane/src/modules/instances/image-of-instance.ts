// Images of instances: made of the root disk of one that is off, and what is found on it. A disk that a guest is writing to is
// not copied: half of it would be of another moment than the other half.
import type { LintReport } from '@virga/contract/agent/image-building';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Idempotency } from '../../store/once-only.ts';
import { type ImageOrdered, orderImage } from '../images/build/build-operations.ts';
import { requireInstance } from './instance-operations.ts';
import { type InstanceRow, toInstance } from './instance-store.ts';

/** @throws NotFound | Conflict it is not off, or was adopted | NameTaken */
export async function createImageOf(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { name, seal = false }: { name: string; seal?: boolean | undefined },
  idempotency?: Idempotency,
): Promise<ImageOrdered> {
  return orderImage(deps, access, name, idempotency, async (tx) => {
    const row = await requireInstance(tx, access, id);
    requireOff(row);
    const image =
      row.image_id === null
        ? undefined
        : await tx.selectFrom('images').selectAll().where('id', '=', row.image_id).executeTakeFirst();
    return {
      ...{ projectId: access.projectId, visibility: 'private', seal, hostId: row.host_id },
      from: { kind: 'instance', instanceId: id },
      told: `of the disk of instance ${row.name}${seal ? ', sealed' : ''}`,
      ...{ defaultUser: image?.default_user ?? 'root', minimumMemoryMib: image?.minimum_memory_mib ?? 0 },
      warmable: image?.warmable ?? false,
    };
  });
}

/** @throws NotFound | Conflict it is not off, or was adopted | HostUnavailable */
export async function lintInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  signal?: AbortSignal,
): Promise<LintReport> {
  const row = await requireInstance(deps.db, access, id);
  requireOff(row);
  return deps.agents.agentOf(row.host_id).lintImage(deps.cloudId, { kind: 'instance', id }, { signal });
}

function requireOff(row: InstanceRow): void {
  const { state, name, origin } = toInstance(row);
  if (origin === 'adopted') {
    throw new VirgaError('Conflict', {
      detail: `Instance ${name} was adopted: its disk is not a file of this cloud.`,
      action: 'Register its file while it is off: virga images register.',
    });
  }
  if (state === 'stopped') return;
  throw new VirgaError('Conflict', {
    detail: `Instance ${name} is ${state}, and its disk is not whole until it is off.`,
    action: `Stop it first, and start it again afterwards: virga stop ${name} --wait.`,
  });
}
