import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { cpuOptions, readCpu } from '../cpu-options.ts';
import { readRootDiskDriver, rootDiskDriverOptions } from '../disk-driver-options.ts';

const pageKib = { '2M': 2048, '1G': 1_048_576 } as const;

export const createType = defineCommand({
  meta: {
    path: 'types create',
    summary: 'Create an instance type',
    details: 'Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    vcpus: { type: 'integer', value: 'N', summary: 'virtual CPUs', required: true, minimum: 1, maximum: 512 },
    memory: { type: 'integer', value: 'MIB', summary: 'memory', required: true, minimum: 64, maximum: 16_777_216 },
    disk: { type: 'integer', value: 'GIB', summary: 'root disk', required: true, minimum: 1, maximum: 65_536 },
    hugePages: {
      type: 'text',
      value: 'SIZE',
      choices: ['2M', '1G'],
      summary: 'memory of static huge pages of this size, which a host has reserved',
    },
    pool: {
      type: 'text',
      value: 'POOL',
      summary: "pool for root disks; default the host's own storage",
      complete: 'pool',
    },
    ...cpuOptions,
    ...rootDiskDriverOptions,
  },
  examples: [
    { command: 'virga types create build --vcpus 8 --memory 4096 --disk 20', explains: 'eight vCPUs, 4 GiB, 20 GiB' },
    {
      command: 'virga types create database --vcpus 4 --memory 8192 --disk 80 --huge-pages 2M',
      explains: 'memory of huge pages',
    },
    {
      command: 'virga types create realtime --vcpus 2 --memory 2048 --disk 20 --cpu-policy dedicated',
      explains: 'host CPUs of its own',
    },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { vcpus, memory: memoryMib, disk: diskGib, hugePages, pool } = options;
    const pages = hugePages === undefined ? {} : { hugePageKib: pageKib[hugePages] };
    const diskDriver = readRootDiskDriver(options);
    const cpu = readCpu(options);
    const disk = { diskGib, ...(diskDriver && { diskDriver }), ...(pool && { pool }) };
    const body = { name: args.name, vcpus, memoryMib, ...disk, ...cpu, ...pages };
    const type = await idempotent((request) => client.createInstanceType({ body }, request));
    await context.print.result(type, [`instance type ${type.name}: created`], [type.name]);
    return 0;
  },
});
