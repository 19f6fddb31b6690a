// What several filters have in common: a resource named on the command line.
import type { Client } from '@virga/contract/client';
import { findInstance } from '../lookup.ts';

/** The id of what a filter names: an id of any kind as it is, else the instance of that name. @throws NotFound */
export async function resourceIdOf(client: Client, nameOrId: string | undefined): Promise<string | undefined> {
  if (nameOrId === undefined || /^[a-z]+-[0-9a-f]{17}$/.test(nameOrId)) return nameOrId;
  return (await findInstance(client, nameOrId)).id;
}
