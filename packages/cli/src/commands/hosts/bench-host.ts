import { benchComparisons } from '@virga/contract/agent/host-bench';
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import { defaultBenchSetup, type HostBenchmark } from '@virga/contract/rest/host-bench';
import { closest } from '../../closest.ts';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { Interrupted } from '../../interrupt.ts';
import { followOperation } from '../../operations/follow-operation.ts';
import { asVirgaError } from '../../output/error-report.ts';
import { reportOptions, tellBenchmark } from './bench-telling.ts';
import { chosenHosts } from './chosen-hosts.ts';

export const benchHost = defineCommand({
  meta: {
    path: 'hosts bench',
    summary: 'Measure a host with guests of its own: settings against each other, in alternating rounds',
    details:
      `Compares ${benchComparisons.join(', ')}. Guests, disks and settings that it needs are made for it and taken away again. ` +
      'A setting is called better or worse when the interval of its ratio, with at least 95 % confidence, lies on one side of ' +
      '“the same”, which takes six rounds; else the report says that there is no measurable difference. The first run builds ' +
      'a small image. It refuses while other guests run, which would be slowed down and be in the figures, unless --force is ' +
      'given. --keep-best sets what won on the host, as virga hosts tune --set does; what is of instances is recommended only. ' +
      'Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; may be left out where there is one', optional: true, complete: 'host' } },
  options: {
    only: { type: 'text', value: 'LIST', summary: 'these comparisons only, with commas between them' },
    pairs: {
      type: 'integer',
      value: 'N',
      default: defaultBenchSetup.pairs,
      summary: 'how often each setting is measured',
      minimum: 1,
      maximum: 100,
    },
    seconds: {
      type: 'integer',
      value: 'N',
      default: defaultBenchSetup.seconds,
      summary: 'how long each measurement takes',
      minimum: 1,
      maximum: 60,
    },
    force: { type: 'flag', summary: 'also while other guests run' },
    cancel: { type: 'flag', summary: 'end the one that runs; what had been measured is kept' },
    ...reportOptions,
  },
  examples: [
    { command: 'virga hosts bench', explains: 'everything; takes a while' },
    {
      command: 'virga hosts bench --only pinning,thp --pairs 12',
      explains: 'two comparisons, with narrower intervals',
    },
    { command: 'virga hosts bench --only io-scheduler --keep-best', explains: 'choose the scheduler by what won' },
    { command: 'virga hosts bench --svg alpha.svg', explains: 'the plot as a picture too' },
  ],
  async run(context, { args, options }) {
    const comparisons = readComparisons(options.only);
    const client = await context.client();
    const [host] = await chosenHosts(client, args.host, false);
    if (options.cancel) return cancel(context, client, host!.id);
    const { pairs, seconds, force } = options;
    const begun = await client.benchmarkHost({
      params: { id: host!.id },
      body: { ...(comparisons && { comparisons }), pairs, seconds, force },
    });
    const failure = await untilEnded(context, client, begun);
    const benchmark = await client.getHostBenchmark({ params: { id: begun.id } });
    const exit = await tellBenchmark(context, client, benchmark, options);
    // What was measured before is told all the same.
    if (failure !== undefined) throw failure;
    return exit;
  },
});

/** @returns why it failed */
async function untilEnded(
  context: CommandContext,
  client: Client,
  { id, hostName, operationId }: HostBenchmark,
): Promise<VirgaError | undefined> {
  const progress = context.progress();
  const task = progress.task(hostName, { passing: true });
  try {
    await followOperation(client, operationId, { signal: context.interrupt(), onChange: task.update });
    task.succeed('measured');
    return undefined;
  } catch (error) {
    if (context.interrupt().aborted) {
      throw new Interrupted(`Stopped waiting. The benchmark ${id} goes on; end it with: virga hosts bench --cancel`);
    }
    const failure = asVirgaError(error);
    task.fail(failure.detail);
    return failure;
  } finally {
    progress.close();
  }
}

async function cancel(context: CommandContext, client: Client, hostId: HostBenchmark['hostId']): Promise<number> {
  const [last] = (await client.listHostBenchmarks({ params: { id: hostId }, query: { limit: 1 } })).items;
  if (last?.state !== 'running') {
    throw new VirgaError('NotFound', {
      detail: 'No benchmark runs on the host.',
      action: 'See what was measured: virga hosts bench-report.',
    });
  }
  const benchmark = await client.cancelHostBenchmark({ params: { id: last.id } });
  await context.print.result(benchmark, [`benchmark ${last.id}: ending`], [last.id]);
  return 0;
}

/** @throws InvalidArgument one is no comparison */
function readComparisons(text: string | undefined): HostBenchmark['setup']['comparisons'] | undefined {
  return text?.split(',').map((typed) => {
    const found = benchComparisons.find((name) => name === typed.trim());
    if (found !== undefined) return found;
    const near = closest(typed, benchComparisons);
    throw new VirgaError('InvalidArgument', {
      detail: `There is no comparison ${typed}.`,
      action: near === undefined ? `Choose of ${benchComparisons.join(', ')}.` : `Did you mean ${near}?`,
    });
  });
}
