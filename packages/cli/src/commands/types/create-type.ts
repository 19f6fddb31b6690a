import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';

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
  },
  examples: [
    { command: 'virga types create build --vcpus 8 --memory 4096 --disk 20', explains: 'eight vCPUs, 4 GiB, 20 GiB' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const body = { name: args.name, vcpus: options.vcpus, memoryMib: options.memory, diskGib: options.disk };
    const type = await idempotent((request) => client.createInstanceType({ body }, request));
    await context.print.result(type, [`instance type ${type.name}: created`], [type.name]);
    return 0;
  },
});
