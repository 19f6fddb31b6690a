import type { GuestCpuModel } from '@virga/contract/agent/cpu-map';
import { VirgaError } from '@virga/contract/errors';
import type { CpuBaseline } from '@virga/contract/rest/host-cpus';
import { defineCommand } from '../../command.ts';
import { type Column, renderTable } from '../../output/table.ts';
import type { Terminal } from '../../output/terminal.ts';

export const cpuBaseline = defineCommand({
  meta: {
    path: 'hosts baseline',
    summary: 'Show the CPU model that all hosts can give their guests, or have guests get it',
    details:
      'libvirt computes it from what each host could give. By itself each host gives its guests its own; with --use all get ' +
      'what all hosts have in common, as of their next start, so that any could run on any of them. --drop ends that. Both ' +
      'need the cloud role admin.',
    section: 'Resources',
  },
  args: {},
  options: {
    use: { type: 'flag', summary: 'give guests the baseline' },
    drop: { type: 'flag', summary: 'give guests the CPU of their host again' },
  },
  examples: [
    { command: 'virga hosts baseline', explains: 'what they have in common' },
    { command: 'virga hosts baseline --use', explains: 'when hosts differ and guests are to move between them' },
  ],
  async run(context, { options: { use, drop } }) {
    if (use && drop) {
      throw new VirgaError('InvalidArgument', { detail: '--use and --drop were given.', action: 'Give one of them.' });
    }
    const client = await context.client();
    const baseline =
      use || drop
        ? await client.setCpuBaseline({ body: { use: use ? 'baseline' : 'host' } })
        : await client.getCpuBaseline();
    const name = baseline.baseline?.name;
    await context.print.result(baseline, linesOf(baseline, context.print.terminal), name === undefined ? [] : [name]);
    return 0;
  },
});

function linesOf({ model, baseline, hosts }: CpuBaseline, terminal: Terminal): string[] {
  return [
    `All hosts could give   ${baseline ? describe(baseline) : 'nothing in common that libvirt finds'}`,
    `Guests are given       ${model ? describe(model) : 'the CPU of their host'}`,
    '',
    ...renderTable(hosts, columns, terminal).trimEnd().split('\n'),
  ];
}

function describe({ name, features }: GuestCpuModel): string {
  const more = features.filter(({ policy }) => policy === 'require').length;
  const less = features.length - more;
  const count = (number: number) => `${number} feature${number === 1 ? '' : 's'}`;
  const parts = [more > 0 && `${count(more)} more`, less > 0 && `${count(less)} less`].filter(Boolean);
  return parts.length === 0 ? name : `${name} with ${parts.join(' and ')}`;
}

const columns: Column<CpuBaseline['hosts'][number]>[] = [
  { header: 'HOST', value: ({ hostName }) => hostName, essential: true },
  { header: 'ITS OWN', value: ({ cpu }) => cpu ?? 'does not answer' },
  {
    header: 'CAN GIVE WHAT GUESTS ARE GIVEN',
    value: ({ canGive }) => (canGive === null ? '-' : canGive ? 'yes' : 'no'),
    style: ({ canGive }) => (canGive === false ? 'red' : undefined),
  },
];
