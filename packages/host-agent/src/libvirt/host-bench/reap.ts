// Takes away what comparisons have made on a host, whether they ended or were killed. Owns nothing else: a domain or network of
// another name stays. Settings come first, because they need no hypervisor and bear on every guest.
import { rm } from 'node:fs/promises';
import type { Connection } from '@virga/libvirt/connection/connect';
import { exists } from '../../exists.ts';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import type { BenchHolder } from './bench-holder.ts';
import { benchFolder, benchOwner, benchPrefix } from './bench-names.ts';
import { restoreNestedPaging } from './nested-paging-module.ts';

type Reaping = Pick<AgentContext, 'changes' | 'hypervisor' | 'storage' | 'system'>;

/**
 * Idempotent. What another agent that lives is at stays.
 * @throws HostUnavailable libvirt does not answer; settings are as before then
 */
export async function reapBench(context: Reaping, holder: BenchHolder): Promise<void> {
  const { changes, hypervisor, storage, system } = context;
  const folder = benchFolder(storage);
  if (await holder.isHeldByOther(folder)) return;
  if ((await changes.owners()).has(benchOwner)) await changes.undo(benchOwner);
  if (!(await exists(folder))) return;
  await hypervisor.act('take away guests of a benchmark', (connection) =>
    removeDomains(connection, benchPrefix(storage)),
  );
  await restoreNestedPaging(system, folder);
  await rm(folder, { recursive: true, force: true });
}

async function removeDomains({ domains, networks }: Connection, prefix: string): Promise<void> {
  for (const ref of await domains.list()) {
    if (ref.name.startsWith(prefix)) await ifThere(domains.destroy(ref));
  }
  for (const ref of await networks.list()) {
    if (ref.name.startsWith(prefix)) await ifThere(networks.destroy(ref));
  }
}

/** It is transient, so it goes by itself too. */
async function ifThere(removal: Promise<void>): Promise<void> {
  await removal.catch((error) => {
    if (!isLibvirtError(error, 'NO_DOMAIN', 'NO_NETWORK', 'OPERATION_INVALID')) throw error;
  });
}
