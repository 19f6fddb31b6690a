import { VirgaError } from '@virga/contract/errors';
import type { UpdateHost } from '@virga/contract/rest/host-memory';
import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { readSize } from '../../size.ts';
import { chosenHosts } from './chosen-hosts.ts';
import { hostColumns } from './list-hosts.ts';
import { hostRows } from './show-host.ts';

const ofCloud = 'default';
const atOnce = 8;

export const setHost = defineCommand({
  meta: {
    path: 'hosts set',
    summary: 'Change how much of a host may be promised, and whose memory may be merged there',
    details:
      `What is not given stays as it is; ${ofCloud} is as the cloud has it. What is promised already stays so. Needs the cloud ` +
      'role admin.',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; may be left out where there is one', optional: true, complete: 'host' } },
  options: {
    all: { type: 'flag', summary: 'every host' },
    vcpuOvercommit: { type: 'text', value: 'RATIO', summary: 'vCPUs promised for each thread, such as 4' },
    memoryOvercommit: { type: 'text', value: 'RATIO', summary: 'how many times over memory is promised, such as 1.5' },
    memoryFloor: {
      type: 'text',
      value: 'SIZE',
      summary:
        'available memory below which nothing is started there, and idle guests lend some; in MiB without a unit',
    },
    ksmScope: {
      type: 'text',
      value: 'SCOPE',
      choices: ['project', 'host', 'never', ofCloud],
      summary: 'whose guests are merged: of one project at a time, of all with each other, or of nobody',
    },
  },
  examples: [
    {
      command: 'virga hosts set alpha --memory-overcommit 1.5 --memory-floor 512MiB',
      explains: 'promises half as much again, and keeps 512 MiB free',
    },
    { command: 'virga hosts set alpha --memory-overcommit default', explains: 'as the cloud has it' },
    { command: 'virga hosts set --all --ksm-scope host', explains: 'when all projects trust each other' },
  ],
  async run(context, { args, options }) {
    const { vcpuOvercommit, memoryOvercommit, memoryFloor, ksmScope } = options;
    const body: UpdateHost = {
      ...(vcpuOvercommit !== undefined && { vcpuOvercommit: ratio('--vcpu-overcommit', vcpuOvercommit) }),
      ...(memoryOvercommit !== undefined && { memoryOvercommit: ratio('--memory-overcommit', memoryOvercommit) }),
      ...(memoryFloor !== undefined && { memoryFloorMib: floor(memoryFloor) }),
      ...(ksmScope !== undefined && { ksmScope: ksmScope === ofCloud ? null : ksmScope }),
    };
    if (Object.keys(body).length === 0) {
      throw new VirgaError('InvalidArgument', {
        detail: 'Nothing to set was given.',
        action: 'virga hosts set --help shows what can be set.',
      });
    }
    const client = await context.client();
    const chosen = await chosenHosts(client, args.host, options.all);
    const hosts = await eachBounded(chosen, atOnce, ({ id }) => client.updateHost({ params: { id }, body }));
    const [host] = hosts;
    if (options.all)
      await context.print.list(hosts, hostColumns(hosts, context.nowMs()), ({ id }) => id, 'There is no host.');
    else await context.print.record(host!, hostRows(host!, context.nowMs()), host!.id);
    return 0;
  },
});

function ratio(option: string, text: string): number | null {
  if (text === ofCloud) return null;
  if (/^\d{1,3}(\.\d{1,3})?$/.test(text) && Number(text) > 0) return Number(text);
  throw new VirgaError('InvalidArgument', {
    detail: `${option} cannot be ${JSON.stringify(text)}.`,
    action: `Give a number such as 1.5, or ${ofCloud}.`,
  });
}

function floor(text: string): number | null {
  if (text === ofCloud) return null;
  return text === '0' ? 0 : readSize('--memory-floor', text, 'MiB');
}
