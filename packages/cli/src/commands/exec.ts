import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { findInstance } from '../lookup.ts';

const maxInputBytes = 1024 ** 2;
/** Of one request. */
const longestWaitSeconds = 20;

export const exec = defineCommand({
  meta: {
    path: 'exec',
    summary: 'Run a command in an instance, without a network',
    details:
      'The guest agent of the instance runs it, as root. No shell takes it apart: for pipes and variables run sh -c. What is ' +
      'piped in is its input, up to 1 MiB. Output comes at the end, up to 1 MiB of each kind. The exit code is that of the ' +
      'command.',
    section: 'Consoles and guests',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    command: { summary: 'command to run, after --', variadic: true },
  },
  options: {
    env: { type: 'texts', value: 'NAME=VALUE', summary: 'a variable for the command; may be repeated' },
    noInput: { type: 'flag', summary: 'do not read standard input' },
    timeout: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'how long to wait; after that it goes on in the guest alone',
      minimum: 1,
      maximum: 86_400,
      default: 600,
    },
  },
  examples: [
    { command: 'virga exec web -- uname -a', explains: 'one command' },
    { command: "virga exec web -- sh -c 'df -h | grep vda'", explains: 'a shell takes it apart' },
    { command: 'virga exec web -- tar xzf - -C /srv < site.tgz', explains: 'input from a file' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id } = await findInstance(client, args.instance);
    const input = options.noInput ? undefined : await pipedInput(context);
    const env = Object.fromEntries(options.env.map(readVariable));
    const body = {
      command: args.command,
      waitSeconds: Math.min(options.timeout, longestWaitSeconds),
      ...(options.env.length > 0 ? { env } : {}),
      ...(input === undefined || input.length === 0 ? {} : { input: input.toString('base64') }),
    };
    const deadlineMs = performance.now() + options.timeout * 1000;
    const signal = context.interrupt();
    let result = await client.executeInGuest({ params: { id }, body }, { signal });
    while (result.exitCode === null) {
      const leftSeconds = Math.ceil((deadlineMs - performance.now()) / 1000);
      if (leftSeconds <= 0) throw stillRuns(args.instance, result.pid);
      const query = { waitSeconds: Math.min(leftSeconds, longestWaitSeconds) };
      result = await client.awaitGuestCommand({ params: { id, pid: result.pid }, query }, { signal });
    }
    if (context.print.format === 'table') {
      context.io.stdout.write(Buffer.from(result.stdout, 'base64'));
      context.io.stderr.write(Buffer.from(result.stderr, 'base64'));
    } else {
      await context.print.result(result, [], []);
    }
    if (result.truncated) context.print.note('There was more output than 1 MiB; the rest was dropped.');
    return result.exitCode;
  },
});

async function pipedInput({ io }: CommandContext): Promise<Buffer | undefined> {
  if (io.stdin.isTTY) return undefined;
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of io.stdin) {
    parts.push(Buffer.from(part));
    sizeBytes += parts.at(-1)!.length;
    if (sizeBytes > maxInputBytes) {
      throw new VirgaError('PayloadTooLarge', {
        detail: 'The input of a command may have 1 MiB.',
        action: 'Copy it into the guest first, with virga cp - INSTANCE:/FILE.',
      });
    }
  }
  return Buffer.concat(parts);
}

function readVariable(text: string): [string, string] {
  const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new VirgaError('InvalidArgument', {
    detail: `${text} is no variable.`,
    action: 'Write --env NAME=VALUE, with a name of letters, digits and underscores.',
  });
}

function stillRuns(instance: string, pid: number): VirgaError {
  return new VirgaError('Timeout', {
    detail: `The command has not ended in time; it goes on in the guest as process ${pid}, and what it prints is lost.`,
    action: `Give it longer with --timeout, or end it: virga exec ${instance} -- kill ${pid}.`,
  });
}
