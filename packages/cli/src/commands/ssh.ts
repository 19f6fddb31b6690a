import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import { configFolder } from '../config/config-file.ts';
import type { CommandContext } from '../context.ts';
import { findInstance } from '../lookup.ts';
import { identityFor } from '../ssh/identities.ts';
import { runSsh } from '../ssh/run-ssh.ts';
import { sshArguments } from '../ssh/ssh-arguments.ts';
import { sshPort, waitForSsh } from '../ssh/wait-for-ssh.ts';
import { addressOf } from './instance-view.ts';

export const ssh = defineCommand({
  meta: {
    path: 'ssh',
    summary: 'Log in to an instance, or run a command in it',
    details:
      'Waits until the instance runs and its SSH server answers. Uses the private key that belongs to a key pair of the ' +
      'instance, if virga keys create or import remembered one, else the agent and keys that ssh itself finds. The exit ' +
      'code is that of the command.',
    section: 'Consoles and guests',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    command: { summary: 'command to run, after --', variadic: true, optional: true },
  },
  options: {
    user: { type: 'text', value: 'NAME', summary: 'who to log in as; default the login user of the image' },
    identity: { type: 'text', value: 'FILE', summary: 'private key to log in with', complete: 'file' },
    port: {
      type: 'integer',
      value: 'PORT',
      summary: 'port of the SSH server; default VIRGA_SSH_PORT, or 22',
      minimum: 1,
      maximum: 65_535,
    },
    timeout: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'how long to wait for the SSH server',
      minimum: 0,
      maximum: 3600,
      default: 120,
    },
    print: { type: 'flag', summary: 'print the ssh command line instead of running it' },
  },
  examples: [
    { command: 'virga ssh web', explains: 'a shell' },
    { command: 'virga ssh web -- uname -a', explains: 'one command' },
    { command: 'virga ssh web --print', explains: 'what to give to rsync or Ansible' },
  ],
  async run(context, { args, options }) {
    const { io } = context;
    const client = await context.client();
    const deadlineMs = performance.now() + options.timeout * 1000;
    const found = await findInstance(client, args.instance);
    const instance = options.print ? found : await whenRunning(context, found, deadlineMs);
    const address = addressOf(instance);
    if (address === undefined) throw noAddress(instance);
    const identityPath = options.identity
      ? resolve(options.identity)
      : await identityFor(client, io.env, instance.keyPairs);
    const port = options.port ?? sshPort(io.env);
    const user = options.user ?? instance.loginUser;
    if (user === null) throw noUser(instance);
    const folder = configFolder(io.env);
    const target = { instanceId: instance.id, address, port, user, identityPath, configFolder: folder };
    const sshArgs = sshArguments(target, args.command);
    if (options.print) {
      const line = ['ssh', ...sshArgs].map(quoted).join(' ');
      await context.print.result({ command: ['ssh', ...sshArgs] }, [line], [line]);
      return 0;
    }
    const leftMs = Math.max(0, deadlineMs - performance.now());
    await waitForSsh({ instanceName: instance.name, address, port }, leftMs, context.interrupt());
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return runSsh(io, sshArgs);
  },
});

/** Waits while the instance comes up. @throws Conflict it is off or going away | GuestUnavailable the time is over */
async function whenRunning(context: CommandContext, found: Instance, deadlineMs: number): Promise<Instance> {
  const client = await context.client();
  let instance = found;
  while (instance.state !== 'running') {
    const { name, state, stateReason, desiredState } = instance;
    if (desiredState !== 'running' || state === 'error' || state === 'paused') {
      throw new VirgaError('Conflict', {
        detail: `The instance ${name} is in state ${state}${stateReason ? `: ${stateReason}` : ''}.`,
        action:
          state === 'paused' ? `Let it go on: virga resume ${name}.` : `Start it with virga start ${name} --wait.`,
      });
    }
    if (performance.now() > deadlineMs) {
      throw new VirgaError('GuestUnavailable', {
        detail: `The instance ${name} is still ${state}${stateReason ? `: ${stateReason}` : ''}.`,
        action: 'Give it longer with --timeout, or look at virga operations list.',
      });
    }
    const signal = context.interrupt();
    await delay(500, undefined, { signal });
    instance = await client.getInstance({ params: { id: instance.id } }, { signal });
  }
  return instance;
}

function noUser(instance: Instance): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail: `Nothing says who to log in to ${instance.name} as: it comes from no image.`,
    action: `Name the user: virga ssh ${instance.name} --user NAME.`,
  });
}

function noAddress(instance: Instance): VirgaError {
  return new VirgaError('Conflict', {
    detail: `The instance ${instance.name} has no address.`,
    action: `Use its console instead: virga console ${instance.name}.`,
  });
}

/** One word of a shell command line. For printing only: nothing is ever run through a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
