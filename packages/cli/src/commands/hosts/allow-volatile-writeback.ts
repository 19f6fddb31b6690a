import type { AllowedWriteback } from '@virga/contract/rest/host-disks';
import { defineCommand } from '../../command.ts';
import { findHost } from '../../lookup.ts';

export const allowVolatileWriteback = defineCommand({
  meta: {
    path: 'hosts allow-volatile-writeback',
    summary: 'Allow write-back on a disk of a host that could lose acknowledged data in a power cut',
    details:
      'For a disk of which you know more than it says, such as one behind an uninterruptible power supply. It is remembered by ' +
      'its serial number, where it has one, so that another disk of that name is not meant. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: {
    host: { summary: 'name or id', complete: 'host' },
    device: { summary: 'such as nvme0n1: virga hosts disks' },
  },
  options: {},
  examples: [
    { command: 'virga hosts allow-volatile-writeback alpha nvme0n1', explains: 'guests there may have it from now on' },
  ],
  async run(context, { args: { host, device } }) {
    const client = await context.client();
    const { id, name } = await findHost(client, host);
    const answer = await client.allowVolatileWriteback({ params: { id, device } });
    const lines = [`write-back is allowed on ${device} of ${name}`];
    await context.print.result(answer, lines, devicesOf(answer.items));
    return 0;
  },
});

export const forbidVolatileWriteback = defineCommand({
  meta: {
    path: 'hosts forbid-volatile-writeback',
    summary: 'Take back that write-back is allowed on a disk of a host',
    details: 'Guests that run go on as they are; their next start is refused as long as they ask for it.',
    section: 'Resources',
  },
  args: {
    host: { summary: 'name or id', complete: 'host' },
    device: { summary: 'name or serial number that was allowed' },
  },
  options: {},
  examples: [{ command: 'virga hosts forbid-volatile-writeback alpha nvme0n1', explains: 'as before' }],
  async run(context, { args: { host, device } }) {
    const client = await context.client();
    const { id, name } = await findHost(client, host);
    const answer = await client.forbidVolatileWriteback({ params: { id, device } });
    const lines = [`write-back is not allowed on ${device} of ${name}`];
    await context.print.result(answer, lines, devicesOf(answer.items));
    return 0;
  },
});

const devicesOf = (items: readonly AllowedWriteback[]): string[] => items.map(({ device }) => device);
