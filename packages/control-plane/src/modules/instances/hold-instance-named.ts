// The instance that somebody means, held against other changes until the transaction ends.
import { VirgaError } from '@virga/contract/errors';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import { hasId, hasIdOrName } from '../../store/named.ts';
import { requireInstance } from './instance-operations.ts';
import type { InstanceRow } from './instance-store.ts';

/** Of the project, by id or name. @throws NotFound */
export async function holdInstanceNamed(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  idOrName: string,
): Promise<InstanceRow> {
  const found = await tx
    .selectFrom('instances')
    .select('id')
    .where('project_id', '=', access.projectId)
    .where(hasIdOrName(idOrName))
    .orderBy(hasId(idOrName), 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
  if (found) return requireInstance(tx, access, found.id);
  throw new VirgaError('NotFound', {
    detail: `There is no instance ${idOrName}.`,
    action: 'List instances with virga list.',
    field: '/instance',
  });
}
