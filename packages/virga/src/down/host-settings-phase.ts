// What Virga changed on the machine itself, by repairs and by tuning, is taken back before the record of it goes.
import { HostChanges } from '@virga/host-agent/host-changes/host-changes';
import { hostChangesPath } from '@virga/host-agent/host-changes/record-path';
import { realHostSystem } from '@virga/host-agent/host-system/host-system';
import type { Folders } from '../server/folders.ts';
import { readServerSettings } from '../server/server-settings.ts';
import type { Phase } from '../up/phase.ts';

export function purgeHostSettingsPhase(folders: Folders): Phase {
  const { storage } = readServerSettings(folders);
  const changes = new HostChanges({ system: realHostSystem, recordPath: hostChangesPath(storage) });
  const wanted = async () => [...(await changes.owners()).values()].flat();
  return {
    title: 'host settings',
    check: async () => [...new Set((await wanted()).map(({ setting }) => `set ${setting.path} back to what it was`))],
    change: async (report) => {
      for (const owner of (await changes.owners()).keys()) {
        for (const { path } of await changes.undo(owner)) report(`set back ${path}`);
      }
    },
  };
}
