// The hosts that a command is about: the one that is named, every one, or the only one that there is.
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { Host } from '@virga/contract/rest/hosts';
import { listAll } from '../../list-all.ts';
import { findHost } from '../../lookup.ts';

/** @throws NotFound | InvalidArgument there are several and none was named */
export async function chosenHosts(client: Client, name: string | undefined, all: boolean): Promise<Host[]> {
  if (name !== undefined && all) {
    throw new VirgaError('InvalidArgument', {
      detail: 'A host and --all were given.',
      action: 'Give one of the two.',
    });
  }
  if (name !== undefined) return [await findHost(client, name)];
  const hosts = await listAll((query) => client.listHosts({ query }));
  if (all || hosts.length === 1) return hosts;
  throw new VirgaError('InvalidArgument', {
    detail: hosts.length === 0 ? 'The cloud has no host.' : `The cloud has ${hosts.length} hosts, and none was named.`,
    action:
      hosts.length === 0
        ? 'Start a server with one.'
        : `Name one of ${hosts.map((host) => host.name).join(', ')}, or give --all.`,
  });
}
