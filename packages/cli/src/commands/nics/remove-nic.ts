import { defineCommand } from '../../command.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { nicOf } from '../instance-parts.ts';
import { waitOption } from '../shared-options.ts';

export const removeNic = defineCommand({
  meta: {
    path: 'nics remove',
    summary: 'Remove a network interface from an instance, while it runs',
    details: 'Its address is free again once the guest has let go. The last one can go too: virga console still works.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    nic: { summary: 'its address, MAC address or id' },
  },
  options: { wait: waitOption },
  examples: [{ command: 'virga nics remove web 10.90.0.20', explains: 'by its address' }],
  async run(context, { args: { instance, nic }, options: { wait } }) {
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: `removal of ${nic} requested`,
      done: `no longer has ${nic}`,
      wait,
      call: async (client, found) =>
        client.removeNetworkInterface({ params: { id: found.id, nicId: nicOf(found, nic) } }),
    });
  },
});
