import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitForGuestOption } from './shared-options.ts';

export const reboot = defineCommand({
  meta: { path: 'reboot', summary: 'Reboot instances', section: 'Instances' },
  args: { instances: instancesArgument },
  options: {
    ...filterOptions,
    mode: {
      type: 'text',
      value: 'MODE',
      choices: ['acpi', 'agent'],
      summary: 'who asks the guest: its power button (default), or its guest agent',
    },
    hard: { type: 'flag', summary: 'reset at once, without asking the guest' },
    cycle: { type: 'flag', summary: 'shut it down and start it, which brings what a running guest cannot be given' },
    timeout: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'with --cycle: how long the guest may take before it is cut off (default 60)',
      minimum: 0,
      maximum: 3600,
    },
    wait: waitForGuestOption,
  },
  examples: [
    { command: 'virga reboot web --wait=ssh', explains: 'waits until one can log in again' },
    { command: 'virga reboot web --mode agent', explains: 'for a guest that does not hear the power button' },
    { command: 'virga reboot web --hard', explains: 'presses the reset button' },
    { command: 'virga reboot web --cycle', explains: 'stops it and starts it' },
    { command: 'virga reboot --tag role=web', explains: 'all with this tag' },
  ],
  async run(context, { args, options }) {
    const body = bodyOf(options);
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'reboot requested',
      wait: options.wait,
      call: (client, { id }) => client.rebootInstance({ params: { id }, body }),
    });
  },
});

type RebootOptions = {
  mode?: 'acpi' | 'agent' | undefined;
  hard?: boolean | undefined;
  cycle?: boolean | undefined;
  timeout?: number | undefined;
};

/** @throws InvalidArgument two ways at once, or a time for a way that waits for nothing */
function bodyOf({ mode, hard, cycle, timeout }: RebootOptions) {
  const ways = [mode !== undefined && '--mode', hard && '--hard', cycle && '--cycle'].filter(Boolean);
  const invalid = (detail: string, action: string) => new VirgaError('InvalidArgument', { detail, action });
  if (ways.length > 1) throw invalid(`${ways.join(' and ')} are two ways to reboot.`, 'Give one of them.');
  if (timeout !== undefined && !cycle) throw invalid('--timeout is for --cycle.', 'Give both, or neither.');
  if (cycle) return { mode: 'cycle' as const, ...(timeout !== undefined && { timeoutSeconds: timeout }) };
  if (hard) return { hard };
  return mode === undefined ? {} : { mode };
}
