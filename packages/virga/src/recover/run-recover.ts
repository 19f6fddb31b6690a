// Rebuilds the database of a stopped server from what is on its host: looks, says what there is, asks, writes. A run that was
// interrupted has written nothing.
import type { CommandContext } from '@virga/cli/context';
import { confirmDestruction } from '@virga/cli/prompts';
import { type Recovered, recoverCloud } from '@virga/control-plane/recover/recover-cloud';
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import { pino } from 'pino';
import { writeCloudId } from '../server/cloud-id.ts';
import { foldersOf, prepareFolders } from '../server/folders.ts';
import { openStateDatabase } from '../server/open-state-database.ts';
import { requireRoot } from '../server/run-server.ts';
import { readServerSettings } from '../server/server-settings.ts';
import { lockState } from '../server/state-lock.ts';

export type RecoverOptions = { state: string; cloud?: string | undefined; yes: boolean };

const lost = 'Lost: users and their keys, user data, operations and events.';

/** @throws Conflict the server runs, or the database is not empty */
export async function runRecover(context: CommandContext, { state, cloud, yes }: RecoverOptions): Promise<void> {
  requireRoot();
  const folders = foldersOf(state);
  await using undo = new AsyncDisposableStack();
  prepareFolders(folders);
  const lock = lockState(folders.state);
  undo.defer(() => lock.release());
  const settings = readServerSettings(folders);
  const agent = await openLibvirtAgent({
    socketPath: settings.libvirtSocket,
    storagePath: settings.storage,
    acceleration: settings.acceleration,
    log: pino({ enabled: false }),
  });
  undo.defer(() => agent.close());
  const cluster = await openStateDatabase(folders, (message) => context.print.note(message));
  undo.defer(() => cluster.stop());
  const recover = (dryRun: boolean) =>
    recoverCloud({
      database: cluster.config,
      hosts: [{ name: settings.hostName, driver: 'libvirt', agent }],
      cloudId: cloud,
      dryRun,
    });
  const found = await recover(true);
  for (const line of describe(found)) context.print.note(line);
  await confirmDestruction(context, 'Write this into the database, in place of what a new server made in it?', yes);
  const recovered = await recover(false);
  await writeCloudId(folders, recovered.cloudId);
  const { instances, networks, images } = recovered.counts;
  await context.print.result(
    recovered,
    [`The database was rebuilt: ${instances} instances, ${networks} networks, ${images} images. Start it: script/up`],
    [],
  );
}

function describe({ cloudId, counts, leftAlone }: Recovered): string[] {
  const parts = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
  return [`Found of the cloud ${cloudId}: ${parts.join(', ')}.`, ...leftAlone, lost];
}
