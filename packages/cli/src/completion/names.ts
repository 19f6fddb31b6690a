// The names that a word on the command line may be, from the server or the configuration.
import type { Client } from '@virga/contract/client';
import type { NameKind } from '../command.ts';
import type { Config } from '../config/config-file.ts';
import type { Candidate } from './complete.ts';

/** More would help nobody, and take long. */
const most = 1000;

type Asked = Exclude<NameKind, 'file' | 'profile'>;
type Listed = { items: readonly unknown[] };

const query = { limit: most };

const lists: { [K in Asked]: (client: Client) => Promise<Candidate[]> } = {
  instance: (client) => named(client.listInstances({ query }), ({ name, state }) => [name, state]),
  image: (client) => named(client.listImages({ query }), ({ name, state }) => [name, state]),
  network: (client) => named(client.listNetworks({ query }), ({ name, cidr }) => [name, cidr]),
  snapshot: (client) =>
    named(client.listSnapshots({ query }), ({ name, instanceName }) => [name, `of ${instanceName}`]),
  volume: (client) => named(client.listVolumes({ query }), ({ name, state }) => [name, state]),
  pool: (client) => named(client.listPools({ query }), ({ name, state }) => [name, state]),
  type: (client) =>
    named(client.listInstanceTypes(), ({ name, vcpus, memoryMib }) => [name, `${vcpus} vCPU, ${memoryMib} MiB`]),
  key: (client) => named(client.listKeyPairs({ query }), ({ name, fingerprint }) => [name, fingerprint]),
  host: (client) => named(client.listHosts({ query }), ({ name, state }) => [name, state]),
  project: (client) => named(client.listProjects({ query }), ({ name, description }) => [name, description]),
  user: (client) => named(client.listUsers({ query }), ({ name, cloudRole }) => [name, cloudRole]),
  member: (client) => named(client.listMembers(), ({ userName, role }) => [userName, role]),
  operation: (client) =>
    named(client.listOperations({ query: { limit: 50 } }), ({ id, kind, resourceName, state }) => [
      id,
      `${kind} ${resourceName} ${state}`,
    ]),
  apiKey: (client) => named(client.listApiKeys(), ({ accessKeyId, description }) => [accessKeyId, description]),
};

/** @throws VirgaError the server does not answer, or not to this user */
export function namesFromServer(kind: Asked, client: Client): Promise<Candidate[]> {
  return lists[kind](client);
}

export function profileNames({ profiles }: Config): Candidate[] {
  return Object.entries(profiles).map(([value, { server }]) => ({ value, description: server }));
}

async function named<L extends Listed>(
  list: Promise<L>,
  describe: (item: L['items'][number]) => [string, string],
): Promise<Candidate[]> {
  return (await list).items.map((item) => {
    const [value, description] = describe(item);
    return { value, description };
  });
}
