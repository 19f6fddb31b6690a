// The host that a request names, by id or name; the only one there is when it names none.
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';

/** @throws NotFound | InvalidArgument there are several, and none was named */
export async function resolveHost(tx: Tx, idOrName: string | undefined): Promise<{ id: HostId; name: string }> {
  const hosts = await tx.selectFrom('hosts').select(['id', 'name']).orderBy('name').execute();
  const field = '/host';
  if (idOrName === undefined) {
    const [host] = hosts;
    if (host && hosts.length === 1) return host;
    throw new VirgaError('InvalidArgument', {
      detail: `The cloud has ${hosts.length} hosts, and the request names none.`,
      action: 'Name one: virga hosts list.',
      field,
    });
  }
  const found = hosts.find(({ id, name }) => id === idOrName || name === idOrName);
  if (found) return found;
  throw new VirgaError('NotFound', {
    detail: `There is no host ${idOrName}.`,
    action: 'List hosts with virga hosts list.',
    field,
  });
}
