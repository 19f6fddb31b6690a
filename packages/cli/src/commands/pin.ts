import { VirgaError } from '@virga/contract/errors';
import type { ChangeCpu } from '@virga/contract/rest/instance-cpu';
import { defineCommand } from '../command.ts';
import { cpuPolicyOption, readCpuList } from './cpu-options.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitForGuestOption } from './shared-options.ts';

const none = 'none';

export const pin = defineCommand({
  meta: {
    path: 'pin',
    summary: 'Change where the vCPUs of instances run, and how much of a CPU they get',
    details:
      'A running guest is moved without a restart. With --policy dedicated each vCPU has a host CPU of its own, and nobody ' +
      'else runs on that or on its hyper-thread; with numa all run in one node, with its memory as of the next start; with ' +
      'isolated on CPUs that the kernel keeps free of other work. --cpus names the host CPUs, one for each vCPU, which needs ' +
      'the cloud role admin. virga hosts cpus draws who runs where.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: {
    ...filterOptions,
    policy: cpuPolicyOption,
    cpus: { type: 'text', value: 'LIST', summary: 'these host CPUs, for itself; such as 2,3' },
    shares: {
      type: 'text',
      value: 'N',
      summary: `weight when CPUs are short, 1 to 10000; ${none}: 100, as others have`,
    },
    cap: { type: 'text', value: 'PERCENT', summary: `at most this much of a CPU for each vCPU; ${none}: no limit` },
    wait: waitForGuestOption,
  },
  examples: [
    { command: 'virga pin web --policy dedicated --wait', explains: 'host CPUs that placement chooses, now' },
    { command: 'virga pin web --cpus 2,3', explains: 'vCPU 0 on CPU 2, vCPU 1 on CPU 3' },
    { command: 'virga pin web --policy shared --shares 200 --cap 50', explains: 'where others are, twice as heavy' },
  ],
  async run(context, { args, options }) {
    const { policy, cpus, shares, cap } = options;
    const body: ChangeCpu = {
      ...(policy !== undefined && { policy }),
      ...(shares !== undefined && { shares: readNumber('--shares', shares, 10_000) }),
      ...(cap !== undefined && { capPercent: readNumber('--cap', cap, 100) }),
    };
    const list = cpus === undefined ? undefined : readOrdered(cpus);
    if (list !== undefined && Object.keys(body).length > 0) {
      throw new VirgaError('InvalidArgument', {
        detail: '--cpus was given together with something else.',
        action: 'Give it alone, and the rest in another command.',
      });
    }
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'pinning requested',
      wait: options.wait,
      call: (client, { id }) =>
        list === undefined
          ? client.changeCpu({ params: { id }, body })
          : client.pinInstance({ params: { id }, body: { cpus: list } }),
    });
  },
});

/** In the order in which they were named: vCPU 0 runs on the first. */
function readOrdered(text: string): number[] {
  return text.split(',').flatMap((part) => readCpuList('--cpus', part));
}

function readNumber(option: string, text: string, maximum: number): number | null {
  if (text === none) return null;
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= maximum) return Number(text);
  throw new VirgaError('InvalidArgument', {
    detail: `${option} cannot be ${JSON.stringify(text)}.`,
    action: `Give a whole number from 1 to ${maximum}, or ${none}.`,
  });
}
