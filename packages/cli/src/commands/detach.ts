import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { volumeOf } from './instance-parts.ts';
import { waitOption } from './shared-options.ts';

export const detach = defineCommand({
  meta: {
    path: 'detach',
    summary: 'Detach a volume from an instance, while it runs',
    details:
      'Unmount it in the guest first. The guest decides when it lets go: until then the volume stays with it, and the ' +
      'guest is asked again; virga attach takes the request back.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    volume: { summary: 'name, id, or its place such as vdc', complete: 'volume' },
  },
  options: { wait: waitOption },
  examples: [{ command: 'virga detach web data --wait', explains: 'waits until the guest has let go of it' }],
  async run(context, { args: { instance, volume }, options: { wait } }) {
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: `detachment of ${volume} requested`,
      done: `no longer has ${volume}`,
      wait,
      call: async (client, found) =>
        client.detachVolume({ params: { id: found.id, volumeId: volumeOf(found, volume) } }),
    });
  },
});
