import type { ResizeInstance } from '@virga/contract/rest/instance-resize';
import { defineCommand } from '../command.ts';
import { readSize } from '../size.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitForGuestOption } from './shared-options.ts';

export const resize = defineCommand({
  meta: {
    path: 'resize',
    summary: 'Change vCPUs, memory and disk of instances',
    details:
      'A running guest changes where it is, as far as it was started with room for that (--max-vcpus and --max-memory of ' +
      'launch, or of this command) and the host can do it. Otherwise the answer says why, nothing changes, and --restart ' +
      'shuts it down and starts it with the new size. One that is off changes at its next start. A disk only grows.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: {
    ...filterOptions,
    type: { type: 'text', value: 'TYPE', summary: 'instance type: its vCPUs and memory', complete: 'type' },
    vcpus: { type: 'integer', value: 'N', summary: 'virtual CPUs', minimum: 1, maximum: 512 },
    memory: { type: 'text', value: 'SIZE', summary: 'memory, such as 1GiB; without a unit in MiB' },
    maxVcpus: {
      type: 'integer',
      value: 'N',
      summary: 'up to here vCPUs can be added while it runs',
      minimum: 1,
      maximum: 512,
    },
    maxMemory: { type: 'text', value: 'SIZE', summary: 'up to here memory can be added while it runs' },
    disk: { type: 'text', value: 'SIZE', summary: 'root disk, such as 20GiB; without a unit in GiB' },
    restart: { type: 'flag', summary: 'shut it down and start it again when it cannot change while it runs' },
    wait: waitForGuestOption,
  },
  examples: [
    { command: 'virga resize web --vcpus 2 --memory 1GiB --wait', explains: 'while it runs' },
    { command: 'virga resize web --type medium --restart', explains: 'shuts it down and starts it as the larger type' },
    {
      command: 'virga resize web --disk 20GiB',
      explains: 'grows the root disk, and its file system where the guest can',
    },
  ],
  async run(context, { args, options }) {
    const { type, vcpus, memory, maxVcpus, maxMemory, disk, restart } = options;
    const body: ResizeInstance = {
      ...(type === undefined ? {} : { type }),
      ...(vcpus === undefined ? {} : { vcpus }),
      ...(memory === undefined ? {} : { memoryMib: readSize('--memory', memory, 'MiB') }),
      ...(maxVcpus === undefined ? {} : { maxVcpus }),
      ...(maxMemory === undefined ? {} : { maxMemoryMib: readSize('--max-memory', maxMemory, 'MiB') }),
      ...(disk === undefined ? {} : { diskGib: readSize('--disk', disk, 'GiB') }),
      ...(restart ? { restart } : {}),
    };
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'resize requested',
      wait: options.wait,
      call: (client, { id }) => client.resizeInstance({ params: { id }, body }),
    });
  },
});
