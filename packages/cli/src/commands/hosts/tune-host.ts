import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { TuneHost } from '@virga/contract/rest/host-tuning';
import type { Host } from '@virga/contract/rest/hosts';
import { defineCommand } from '../../command.ts';
import { changeOne } from '../../operations/change-one.ts';
import { waitOption } from '../shared-options.ts';
import { chosenHosts } from './chosen-hosts.ts';
import { knobHelp, mergedOverrides, readOverrides } from './tuning-knobs.ts';
import { planLines, stateText, tuningLines } from './tuning-view.ts';

const profiles = ['balanced', 'latency', 'throughput', 'density', 'custom'] as const;

export const tuneHost = defineCommand({
  meta: {
    path: 'hosts tune',
    summary: 'Tune a host for what it is to be good at; alone, show how it is tuned',
    details:
      'balanced is for most hosts; latency for guests that must answer soon; throughput for those that compute and move data; ' +
      'density for as many as fit; custom is only what --set says. Every setting is read back, kept over a restart of the ' +
      'host, and set right when something else changes it; --undo takes everything back exactly. A host that refuses stays ' +
      `as it is. Knobs of --set: ${knobHelp}. Each may be keep, which leaves it as the host has it. Without a profile, ` +
      '--set goes on top of what was said before.',
    section: 'Resources',
  },
  args: { profile: { summary: 'what it is to be good at', optional: true, choices: profiles } },
  options: {
    host: { type: 'text', value: 'HOST', summary: 'name or id; may be left out where there is one', complete: 'host' },
    set: { type: 'texts', value: 'KNOB=VALUE', summary: 'goes before the profile; may be repeated' },
    dryRun: { type: 'flag', summary: 'show what would be changed, and change nothing' },
    undo: { type: 'flag', summary: 'take back all that tuning has changed' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga hosts tune', explains: 'every knob: how it is, how it should be, and why' },
    { command: 'virga hosts tune density --dry-run', explains: 'the plan as a difference' },
    {
      command: 'virga hosts tune balanced --set ksm=off --set io-scheduler.sda=bfq --wait',
      explains: 'all but two knobs',
    },
    { command: 'virga hosts tune --set huge-pages-2m=512 --wait', explains: '1 GiB of static huge pages besides' },
    { command: 'virga hosts tune --undo --wait', explains: 'as it was before' },
  ],
  async run(context, { args, options }) {
    const overrides = readOverrides(options.set);
    if (options.undo && (args.profile !== undefined || options.set.length > 0)) {
      throw new VirgaError('InvalidArgument', {
        detail: '--undo was given with something to set.',
        action: 'Give one of the two.',
      });
    }
    const client = await context.client();
    const [host] = (await chosenHosts(client, options.host, false)) as [Host];
    const params = { id: host.id };
    if (!options.undo && args.profile === undefined && options.set.length === 0) {
      const answer = await client.getHostTuning({ params });
      await context.print.result(answer, tuningLines(answer.tuning, answer.seen, context.print.terminal), [host.id]);
      return 0;
    }
    const wanted = options.undo
      ? null
      : args.profile === undefined
        ? await amended(client, host, overrides)
        : { profile: args.profile as TuneHost['profile'], overrides };
    if (options.dryRun) {
      const plan = await client.planHostTuning({ params, body: { tuning: wanted } });
      await context.print.result(plan, planLines(plan, host.name), []);
      return 0;
    }
    return changeOne(context, 'tuning', {
      ...{ name: host.name, wait: options.wait, requested: wanted === null ? 'undo requested' : 'requested' },
      request: () => (wanted === null ? client.untuneHost({ params }) : client.tuneHost({ params, body: wanted })),
      afterwards: async () => (await client.getHostTuning({ params })).tuning,
      done: stateText,
    });
  },
});

/** What was said before, with this on top. */
async function amended(client: Client, { id }: Host, overrides: TuneHost['overrides']): Promise<TuneHost> {
  const { desired } = (await client.getHostTuning({ params: { id } })).tuning;
  return {
    profile: desired?.profile ?? 'custom',
    overrides: mergedOverrides(desired?.overrides ?? {}, overrides ?? {}),
  };
}
