import type { Guest } from '@virga/contract/rest/instance-guest';
import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { formatBytes, printable } from '../../output/format.ts';

export const showGuest = defineCommand({
  meta: {
    path: 'guest info',
    summary: 'Show what a guest says of itself: system, addresses, file systems',
    section: 'Consoles and guests',
    groupDefault: true,
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga guest info web', explains: 'how full its disks are' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id } = await findInstance(client, args.instance);
    const guest = await client.getGuest({ params: { id } });
    await context.print.record(guest, rowsOf(guest), id);
    return 0;
  },
});

function rowsOf(guest: Guest): [string, string | null][] {
  const rows: [string, string | null][] = [
    ['Host name', guest.hostName],
    ['System', guest.osName],
    ['Kernel', guest.kernel],
    ['Time zone', guest.timeZone],
    ['Guest agent', guest.agentVersion],
    ['Frozen', guest.frozen ? (guest.frozenUntil ? `until ${guest.frozenUntil}` : 'yes') : null],
    ...guest.users.map(({ name }): [string, string] => ['Logged in', name]),
    ...guest.interfaces.map(({ name, mac, addresses }): [string, string] => [
      'Interface',
      `${name}${mac ? ` (${mac})` : ''}: ${addresses.join(', ') || 'no address'}`,
    ]),
    ...guest.fileSystems.map(({ mountPoint, type, device, usedBytes, totalBytes }): [string, string] => [
      'File system',
      `${mountPoint}: ${formatBytes(usedBytes)} of ${formatBytes(totalBytes)} used, ${type} on ${device}`,
    ]),
  ];
  return rows.map(([name, value]) => [name, value === null ? null : printable(value)]);
}
