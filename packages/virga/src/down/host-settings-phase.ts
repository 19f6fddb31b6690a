// What Virga changed on the machine itself, by repairs and by tuning, is taken back before the record of it goes.
import { HostChanges } from '@virga/host-agent/host-changes/host-changes';
import { hostChangesPath } from '@virga/host-agent/host-changes/record-path';
import { realHostSystem } from '@virga/host-agent/host-system/host-system';
import { HostTuner, tuningOwner } from '@virga/host-agent/host-tuning/host-tuner';
import type { Folders } from '../server/folders.ts';
import { readServerSettings } from '../server/server-settings.ts';
import type { Phase } from '../up/phase.ts';

export function purgeHostSettingsPhase(folders: Folders): Phase {
  const { storage } = readServerSettings(folders);
  const changes = new HostChanges({ system: realHostSystem, recordPath: hostChangesPath(storage) });
  const tuner = new HostTuner({ system: realHostSystem, changes });
  const wanted = async () => [...(await changes.owners()).values()].flat();
  return {
    title: 'host settings',
    check: async () => [...new Set((await wanted()).map(({ setting }) => `set ${setting.path} back to what it was`))],
    change: async (report) => {
      for (const owner of (await changes.owners()).keys()) {
        // Tuning also tells GRUB, and takes merged pages apart.
        const undone = owner === tuningOwner ? (await tuner.applyTuning(null)).changes : await changes.undo(owner);
        for (const { path } of undone) report(`set back ${path}`);
      }
    },
  };
}
