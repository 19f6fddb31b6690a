// Rebuilds the database of a stopped server from what is on its host: looks, says what there is, asks, writes. A run that was
// interrupted has written nothing.
import type { CommandContext } from '@virga/cli/context';
import { confirmDestruction } from '@virga/cli/prompts';
import { hashPassword } from '@virga/control-plane/modules/identity/password';
import { createSeal } from '@virga/control-plane/modules/identity/seal';
import { type Recovered, recoverCloud } from '@virga/control-plane/recover/recover-cloud';
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import { pino } from 'pino';
import { writeCloudId } from '../server/cloud-id.ts';
import { foldersOf, prepareFolders } from '../server/folders.ts';
import { openStateDatabase } from '../server/open-state-database.ts';
import { requireRoot } from '../server/run-server.ts';
import { ensureAdministratorCredentials, ensureSealKey } from '../server/secrets.ts';
import { readServerSettings } from '../server/server-settings.ts';
import { lockState } from '../server/state-lock.ts';

export type RecoverOptions = { state: string; cloud?: string | undefined; yes: boolean };

const lost =
  'Lost: users and their keys, user data, operations and events. Schedules run on behalf of the administrator.';

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
  // Before the database, which it belongs to: where both are lost, a new one is made.
  const seal = createSeal(await ensureSealKey(folders));
  const { user: name, password } = await ensureAdministratorCredentials(folders);
  const administrator = { name, passwordHash: await hashPassword(password) };
  const cluster = await openStateDatabase(folders, (message) => context.print.note(message));
  undo.defer(() => cluster.stop());
  const recover = (dryRun: boolean) =>
    recoverCloud({
      database: cluster.config,
      hosts: [{ name: settings.hostName, driver: 'libvirt', agent }],
      cloudId: cloud,
      administrator,
      seal,
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

const names: Partial<Record<keyof Recovered['counts'], string>> = {
  backupStores: 'backup stores',
  backupSchedules: 'schedules of backups',
  snapshotSchedules: 'schedules of snapshots',
};

function describe({ cloudId, counts, leftAlone }: Recovered): string[] {
  const parts = Object.entries(counts).map(([what, count]) => `${count} ${names[what as keyof typeof counts] ?? what}`);
  return [`Found of the cloud ${cloudId}: ${parts.join(', ')}.`, ...leftAlone, lost];
}
