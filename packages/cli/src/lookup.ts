// From what a person typed, a name or an id, to the one resource it stands for. What is missing or ambiguous is NotFound,
// with the nearest name and the command that lists what there is.
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import { type IdKind, isId, type UserId } from '@virga/contract/ids';
import type { Backup } from '@virga/contract/rest/backups';
import type { User } from '@virga/contract/rest/identity';
import type { Operation } from '@virga/contract/rest/operations';
import { closest } from './closest.ts';

type Named = { id: string; name: string };
type Listing<T> = { items: T[] };

type Lookup<T extends Named> = {
  kind: IdKind;
  noun: string;
  listCommand: string;
  /** Absent where the API has no way to read one; then the id is looked for in the list. */
  get?: (id: string) => Promise<T>;
  list: (query: { name?: string; limit?: number }) => Promise<Listing<T>>;
};

export const findInstance = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'instance',
    noun: 'instance',
    listCommand: 'virga list',
    get: (id) => client.getInstance({ params: { id: id as `i-${string}` } }),
    list: (query) => client.listInstances({ query }),
  });

export const findImage = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'image',
    noun: 'image',
    listCommand: 'virga images list',
    get: (id) => client.getImage({ params: { id: id as `ami-${string}` } }),
    list: (query) => client.listImages({ query }),
  });

export const findNetwork = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'network',
    noun: 'network',
    listCommand: 'virga networks list',
    get: (id) => client.getNetwork({ params: { id: id as `net-${string}` } }),
    list: (query) => client.listNetworks({ query }),
  });

export const findVolume = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'volume',
    noun: 'volume',
    listCommand: 'virga volumes list',
    get: (id) => client.getVolume({ params: { id: id as `vol-${string}` } }),
    list: (query) => client.listVolumes({ query }),
  });

export const findSnapshot = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'snapshot',
    noun: 'snapshot',
    listCommand: 'virga snapshots list',
    get: (id) => client.getSnapshot({ params: { id: id as `snap-${string}` } }),
    list: (query) => client.listSnapshots({ query }),
  });

export const findPool = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'pool',
    noun: 'pool',
    listCommand: 'virga pools list',
    get: (id) => client.getPool({ params: { id: id as `pool-${string}` } }),
    list: (query) => client.listPools({ query }),
  });

export const findBackupStore = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'backupStore',
    noun: 'backup store',
    listCommand: 'virga backup-stores list',
    get: (id) => client.getBackupStore({ params: { id: id as `bks-${string}` } }),
    list: (query) => client.listBackupStores({ query }),
  });

/** Backups have ids only. */
export async function findBackup(client: Client, id: string): Promise<Backup> {
  if (isId('backup', id)) return client.getBackup({ params: { id } });
  throw new VirgaError('NotFound', {
    detail: `${id} is not the id of a backup.`,
    action: 'virga backups list shows what there is.',
  });
}

export const findHost = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'host',
    noun: 'host',
    listCommand: 'virga hosts list',
    get: (id) => client.getHost({ params: { id: id as `host-${string}` } }),
    list: (query) => client.listHosts({ query }),
  });

export const findKeyPair = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'keyPair',
    noun: 'key pair',
    listCommand: 'virga keys list',
    get: (id) => client.getKeyPair({ params: { id: id as `key-${string}` } }),
    list: (query) => client.listKeyPairs({ query }),
  });

export const findProject = (client: Client, nameOrId: string) =>
  find(nameOrId, {
    kind: 'project',
    noun: 'project',
    listCommand: 'virga projects list',
    list: (query) => client.listProjects({ query }),
  });

/** Operations have ids only. */
export async function findOperation(client: Client, id: string): Promise<Operation> {
  if (isId('operation', id)) return client.getOperation({ params: { id }, query: {} });
  throw new VirgaError('NotFound', {
    detail: `${id} is not the id of an operation.`,
    action: 'virga operations list shows what there is.',
  });
}

export const findUser = (client: Client, nameOrId: string) =>
  find<User>(nameOrId, {
    kind: 'user',
    noun: 'user',
    listCommand: 'virga users list',
    list: (query) => client.listUsers({ query }),
  });

/** A user by way of the members of the project, which its administrators may list, else of the whole cloud. */
export async function findMemberOrUser(client: Client, nameOrId: string): Promise<{ id: UserId; name: string }> {
  const { items } = await client.listMembers();
  const member = items.find(({ userId, userName }) => userId === nameOrId || userName === nameOrId);
  if (member) return { id: member.userId, name: member.userName };
  if (isId('user', nameOrId)) return { id: nameOrId, name: nameOrId };
  return findUser(client, nameOrId);
}

async function find<T extends Named>(nameOrId: string, lookup: Lookup<T>): Promise<T> {
  if (isId(lookup.kind, nameOrId)) {
    if (lookup.get) return lookup.get(nameOrId);
    const found = (await lookup.list({ limit: 1000 })).items.find((item) => item.id === nameOrId);
    if (found) return found;
    throw missing(lookup, `There is no ${lookup.noun} ${nameOrId}.`, undefined);
  }
  const matches = (await lookup.list({ name: nameOrId })).items.filter((item) => item.name === nameOrId);
  if (matches.length === 1) return matches[0]!;
  if (matches.length > 1) {
    throw missing(
      lookup,
      `${matches.length} ${lookup.noun}s are named ${nameOrId}: ${matches.map((item) => item.id).join(', ')}.`,
      'Name one by its id;',
    );
  }
  const near = closest(
    nameOrId,
    (await lookup.list({ limit: 1000 })).items.map((item) => item.name),
  );
  throw missing(
    lookup,
    `There is no ${lookup.noun} named ${nameOrId}.`,
    near === undefined ? undefined : `Did you mean ${near}?`,
  );
}

function missing<T extends Named>(lookup: Lookup<T>, detail: string, hint: string | undefined): VirgaError {
  return new VirgaError('NotFound', {
    detail,
    action: `${hint === undefined ? '' : `${hint} `}${lookup.listCommand} shows what there is.`,
  });
}
