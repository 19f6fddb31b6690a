// Changes what an instance is called and what becomes of it, in one transaction. Its power stays as it is, and what is under
// way goes on. A new name is that of the domain too, from its next start on; the guest keeps the host name that it booted with.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { UpdateInstance } from '@virga/contract/rest/instance-attributes';
import type { Instance } from '@virga/contract/rest/instances';
import type { Updateable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { brokenConstraint, inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import type { Database } from '../../store/schema.ts';
import { domainNameOf } from './instance.ts';
import { expiryOf, mergeTags, readDescription, requireNoProtectedExpiry } from './instance-attributes.ts';
import { amendInstance, joinOperation } from './instance-change.ts';
import { changedMeanwhile, requireInstance } from './instance-operations.ts';
import { findInstance, type InstanceRow, toInstance } from './instance-store.ts';
import { nameTaken } from './launch-instance.ts';

type Change = Omit<Updateable<Database['instances']>, 'desired' | 'generation' | 'operation_id'>;

/**
 * What is left out stays as it is. An update that changes nothing succeeds at once.
 * @throws NameTaken | InvalidArgument @see expiryOf, mergeTags
 * @throws Conflict it is being deleted
 */
export async function updateInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  body: UpdateInstance,
  ifMatch?: number,
): Promise<{ instance: Instance; operationId: OperationId }> {
  try {
    return await inTransaction(deps.db, async (tx) => {
      await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
      const row = await requireInstance(tx, access, id);
      if (ifMatch !== undefined && ifMatch !== row.generation) throw changedMeanwhile(row);
      if (row.desired === 'deleted') throw beingDeleted(row);
      const now = deps.clock.now();
      const set = changeOf(body, row, now);
      const kind = set.name === undefined ? 'instance.update' : 'instance.rename';
      const operationId =
        Object.keys(set).length === 0
          ? await joinOperation(tx, access, row, kind, now)
          : await amendInstance(tx, access, row, { kind, set, data: body });
      if (set.expiry_due_at !== undefined) await notify(tx, 'due');
      return { instance: toInstance((await findInstance(tx, id))!), operationId };
    });
  } catch (error) {
    if (brokenConstraint(error) === 'instances_name_taken') throw nameTaken(body.name ?? '');
    throw error;
  }
}

/** The columns that differ afterwards. */
function changeOf(body: UpdateInstance, row: InstanceRow, now: Date): Change {
  const { name, description, tags, deleteProtection, autostart, crashPolicy, noMerge } = body;
  const expiry = expiryOf(body, row, now);
  const isProtected = deleteProtection ?? row.delete_protection;
  const field = deleteProtection ? '/deleteProtection' : '/expiryAction';
  requireNoProtectedExpiry(isProtected, expiry ? expiry.expiry_action : row.expiry_action, field);
  const merged = tags && JSON.stringify(mergeTags(row.tags, tags));
  const change: Change = {
    ...(name !== undefined && name !== row.name && renamed(row, name)),
    ...(description !== undefined && description !== row.description && { description: readDescription(description) }),
    ...(merged !== undefined && merged !== JSON.stringify(mergeTags(row.tags, {})) && { tags: merged }),
    ...(isProtected !== row.delete_protection && { delete_protection: isProtected }),
    ...(autostart !== undefined && autostart !== row.autostart && { autostart }),
    ...(crashPolicy !== undefined && crashPolicy !== row.crash_policy && { crash_policy: crashPolicy }),
    ...(noMerge !== undefined && noMerge !== row.no_merge && { no_merge: noMerge }),
    ...(expiry && isOther(expiry, row) && expiry),
  };
  return change;
}

/** The domain of an adopted instance keeps the name that it came with. */
const renamed = ({ id, origin }: InstanceRow, name: string) => ({
  name,
  ...(origin === 'launched' && { domain_name: domainNameOf({ id, name }) }),
});

const isOther = (expiry: Pick<InstanceRow, 'expires_at' | 'expiry_action'>, row: InstanceRow): boolean =>
  expiry.expires_at?.getTime() !== row.expires_at?.getTime() || expiry.expiry_action !== row.expiry_action;

function beingDeleted({ name }: InstanceRow): VirgaError {
  return new VirgaError('Conflict', {
    detail: `Instance ${name} is being deleted.`,
    action: 'Launch another one.',
  });
}
