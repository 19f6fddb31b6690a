import type { Client } from '@virga/contract/client';
import { errorRegistry, VirgaError } from '@virga/contract/errors';
import type { Host } from '@virga/contract/rest/hosts';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { eachBounded } from '../../each-bounded.ts';
import { confirm } from '../../prompts.ts';
import { chosenHosts } from './chosen-hosts.ts';
import { type CheckedHost, changeText, checkLines, isWell } from './host-check-view.ts';

const atOnce = 8;

export const checkHost = defineCommand({
  meta: {
    path: 'hosts check',
    summary: 'Look for what keeps guests on a host slow, unsafe or from starting, and repair it',
    details:
      'Each check says what was seen, why it matters, and what to do; --output json also where it was read. With --fix the ' +
      'repairs that Virga can make are shown as differences, made after a question, read back, and the host is checked again. ' +
      'They are recorded on the host, and --undo takes them back exactly. The exit code is 8 while a failure stands.',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; may be left out where there is one', optional: true, complete: 'host' } },
  options: {
    all: { type: 'flag', summary: 'every host' },
    only: { type: 'text', value: 'NAMES', summary: 'only these checks, joined by commas' },
    fix: { type: 'flag', summary: 'make the repairs' },
    undo: { type: 'flag', summary: 'take repairs back' },
    yes: { type: 'flag', summary: 'do not ask' },
  },
  examples: [
    { command: 'virga hosts check', explains: 'what is well, and what is not' },
    { command: 'virga hosts check --fix', explains: 'shows the repairs, and makes them' },
    { command: 'virga hosts check --undo --only swappiness', explains: 'as it was before' },
    { command: 'virga hosts check --all', explains: 'a line for each host, and what is not well' },
  ],
  async run(context, { args, options }) {
    if (options.fix && options.undo) {
      throw new VirgaError('InvalidArgument', {
        detail: '--fix and --undo were given.',
        action: 'Give one of the two.',
      });
    }
    const client = await context.client();
    const hosts = await chosenHosts(client, args.host, options.all);
    const names = options.only;
    let checked = await eachBounded(hosts, atOnce, (host) =>
      check(client, host, names).catch((error) => (options.all ? unreachable(host, error) : Promise.reject(error))),
    );
    if (options.fix) checked = await repair(context, client, checked, options.yes);
    if (options.undo) checked = await undo(context, client, checked, options.yes);
    const shown = checked.map(({ id: _, ...host }) => host);
    await context.print.result(
      shown,
      checkLines(shown, context.print.terminal, hosts.length === 1),
      shown.flatMap(({ checks }) => checks.filter((one) => !isWell(one)).map(({ name }) => name)),
    );
    const fails = shown.some(({ checks }) => checks.some(({ verdict }) => verdict === 'failure'));
    return fails ? errorRegistry.OperationFailed.exit : 0;
  },
});

type Checked = CheckedHost & { id: Host['id'] };

async function check(client: Client, { id, name }: Host, names: string | undefined): Promise<Checked> {
  const query = names === undefined ? {} : { names };
  const { checks } = await client.checkHost({ params: { id }, query });
  return { id, host: name, checks, changes: null };
}

/** One host that is away hides none of the others. */
function unreachable({ id, name }: Host, error: unknown): Checked {
  if (!(error instanceof VirgaError) || error.code !== 'HostUnavailable') throw error;
  const { detail, action } = error;
  const away = { name: 'reachable', title: 'Host agent', verdict: 'failure', seen: detail, todo: action } as const;
  const why = 'What cannot be reached cannot be checked, and runs nothing new.';
  return { id, host: name, checks: [{ ...away, why, readings: [], repair: [], repaired: false }], changes: null };
}

/** Shows all that would be changed, asks once, and repairs one host after the other. */
async function repair(context: CommandContext, client: Client, checked: Checked[], yes: boolean): Promise<Checked[]> {
  const broken = checked.filter(({ checks }) => checks.some(({ repair }) => repair.length > 0));
  if (broken.length === 0) {
    context.print.note('There is nothing that Virga can repair.');
    return checked;
  }
  for (const { host, checks } of broken) {
    const lines = checks.flatMap(({ name, repair }) =>
      repair.length === 0 ? [] : [`${name}:`, ...repair.flatMap(changeText)],
    );
    context.io.stderr.write(`On ${host} this would be changed:\n\n${lines.join('\n')}\n\n`);
  }
  await confirm(context, `Change ${broken.map(({ host }) => host).join(', ')} like that?`, yes);
  return changeEach(checked, broken, async ({ id, checks }) => {
    const names = checks.filter(({ repair }) => repair.length > 0).map(({ name }) => name);
    return client.repairHost({ params: { id }, body: { names } });
  });
}

async function undo(context: CommandContext, client: Client, checked: Checked[], yes: boolean): Promise<Checked[]> {
  const repaired = checked.filter(({ checks }) => checks.some((one) => one.repaired));
  if (repaired.length === 0) {
    context.print.note('There is no repair to take back.');
    return checked;
  }
  const namesOf = ({ checks }: Checked) => checks.filter((one) => one.repaired).map(({ name }) => name);
  const what = repaired.map((one) => `${namesOf(one).join(', ')} of ${one.host}`).join('; ');
  await confirm(context, `Take back the repairs of ${what}?`, yes);
  return changeEach(checked, repaired, (one) =>
    client.undoHostRepairs({ params: { id: one.id }, query: { names: namesOf(one).join(',') } }),
  );
}

type Outcome = Awaited<ReturnType<Client['repairHost']>>;

/** Changes hosts in turn. What is shown of each are the checks that it was asked for. */
async function changeEach(
  checked: readonly Checked[],
  some: readonly Checked[],
  change: (host: Checked) => Promise<Outcome>,
): Promise<Checked[]> {
  const outcomes = new Map<Checked, Outcome>();
  for (const host of some) outcomes.set(host, await change(host));
  return checked.map((host) => {
    const outcome = outcomes.get(host);
    if (outcome === undefined) return host;
    const asked = new Set(host.checks.map(({ name }) => name));
    return { ...host, changes: outcome.changes, checks: outcome.report.checks.filter(({ name }) => asked.has(name)) };
  });
}
