// Stops what `up` started, and with --purge deletes what the cloud made. Each step may be repeated: a run that was
// interrupted is finished by the next.
import { existsSync } from 'node:fs';
import type { CommandContext } from '@virga/cli/context';
import { confirmDestruction } from '@virga/cli/prompts';
import { isUnit, stopServer } from '../server/background-server.ts';
import { defaultStateFolder, type Folders, foldersOf } from '../server/folders.ts';
import { clusterRuns } from '../server/private-cluster.ts';
import { requireRoot } from '../server/run-server.ts';
import { lockHolder } from '../server/state-lock.ts';
import { libvirtPhase, stopLibvirtPhase } from '../up/libvirt-phase.ts';
import { unlinkPhase } from '../up/path-phase.ts';
import { hasChanges, type Phase, planPhases } from '../up/phase.ts';
import { runPhases } from '../up/run-phases.ts';
import { purgeHostSettingsPhase } from './host-settings-phase.ts';
import { purgeFilesPhase, purgeHostPhase, purgeLoginPhase, takeInventory } from './purge-phases.ts';

export type DownOptions = { state: string; purge: boolean; yes: boolean };

export async function runDown(context: CommandContext, options: DownOptions): Promise<void> {
  requireRoot();
  const folders = foldersOf(options.state);
  if (options.purge) await agreeToPurge(context, folders, options.yes);
  const phases = options.purge ? purgePhases(context, folders) : [stopPhase(folders), stopLibvirtPhase(folders.run)];
  const plan = await planPhases(phases);
  if (hasChanges(plan)) await runPhases(plan, context.progress());
  await context.print.result({ purged: options.purge }, [await ending(folders, options.purge, hasChanges(plan))], []);
}

function purgePhases({ io: { env } }: CommandContext, folders: Folders): Phase[] {
  return [
    stopPhase(folders),
    purgeHostPhase(folders),
    purgeHostSettingsPhase(folders),
    stopLibvirtPhase(folders.run),
    purgeLoginPhase(folders, env),
    purgeFilesPhase(folders),
    // A cloud on the default folders goes on using it.
    ...(folders.state !== defaultStateFolder && existsSync(defaultStateFolder) ? [] : [unlinkPhase()]),
  ];
}

/** What is to be deleted is counted first; for that libvirt has to run. */
async function agreeToPurge(context: CommandContext, folders: Folders, yes: boolean): Promise<void> {
  if (!existsSync(folders.state)) return;
  const [libvirt] = await planPhases([libvirtPhase(folders.run)]);
  if (libvirt && libvirt.changes.length > 0) await libvirt.phase.change((message) => context.print.note(message));
  const found = await takeInventory(folders);
  const { instances = 0, networks = 0, images = 0 } = found ?? {};
  const what = `${instances} instances with their disks, ${networks} networks, ${images} images and all of ${folders.state}`;
  await confirmDestruction(context, `Delete ${what}?`, yes);
}

function stopPhase(folders: Folders): Phase {
  return {
    title: 'server',
    check: async () => {
      if (!existsSync(folders.state)) return [];
      if (lockHolder(folders.state) !== undefined) return ['stop the server and its database'];
      return clusterRuns(folders.database) ? ['stop the database, whose server was killed'] : [];
    },
    change: async (report) => {
      report('stopping');
      await stopServer(folders);
    },
  };
}

async function ending(folders: Folders, purged: boolean, changed: boolean): Promise<string> {
  if (purged) return 'The cloud is gone from this machine.';
  if (!changed) return 'The cloud is down already.';
  const again = isUnit(folders) ? ' It does not start at boot any more.' : '';
  return `The cloud is down.${again} Instances go on as they were; script/up brings it up again.`;
}
