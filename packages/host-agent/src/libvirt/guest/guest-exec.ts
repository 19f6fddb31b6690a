// Runs a program in a guest through its agent. The agent hands over the output in one piece at the end, and libvirt carries
// no piece of more than 4 MiB, so a shell in the guest keeps the first part of each stream and drops the rest. A guest
// without such a shell (Windows) runs the program as it is.
import { setTimeout as delay } from 'node:timers/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import { type GuestCommand, type GuestCommandResult, maxGuestOutputBytes } from '@virga/contract/agent/guest';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { askGuest } from './guest-agent.ts';

const firstPauseMs = 10;
const longestPauseMs = 500;
const signalBase = 128;

/**
 * Arguments: variables, `--`, the program and its arguments. `exec` runs programs only, no builtins of the shell. Each
 * stream passes a filter that reads on when it has enough, so that the program never meets a closed pipe.
 */
const keepingShell = `
keep() { head -c ${maxGuestOutputBytes + 1}; cat >/dev/null; }
while [ "$1" != -- ]; do export "$1"; shift; done; shift
export PATH="\${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
{ status=$(
  { { { (exec 3>&- 4>&- 5>&-; exec "$@"); echo $? >&5; } 2>&1 1>&6 6>&- | keep >&4; } 6>&1 | keep >&3; } 5>&1
); } 3>&1 4>&2
exit "\${status:-127}"
`;

type Started = { pid: number };
type Status = {
  exited: boolean;
  exitcode?: number;
  signal?: number;
  'out-data'?: string;
  'err-data'?: string;
  'out-truncated'?: boolean;
  'err-truncated'?: boolean;
};

export async function guestExec(
  context: AgentContext,
  id: InstanceId,
  guestCommand: GuestCommand,
  { signal }: CallContext = {},
): Promise<GuestCommandResult> {
  const { pid } = await start(context, id, guestCommand, signal);
  return guestAwaitCommand(context, id, { pid, waitMs: guestCommand.waitMs }, { signal });
}

export async function guestAwaitCommand(
  context: AgentContext,
  id: InstanceId,
  { pid, waitMs }: { pid: number; waitMs: number },
  { signal }: CallContext = {},
): Promise<GuestCommandResult> {
  const deadlineMs = performance.now() + waitMs;
  const asked = { execute: 'guest-exec-status', arguments: { pid } };
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    const status = (await askGuest(context, id, asked, signal)) as Status;
    if (status.exited || performance.now() > deadlineMs) return resultOf(pid, status);
    await delay(pauseMs, undefined, { signal });
  }
}

async function start(
  context: AgentContext,
  id: InstanceId,
  { command, env = {}, input }: GuestCommand,
  signal: AbortSignal | undefined,
): Promise<Started> {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const common = {
    'capture-output': true,
    ...(input === undefined ? {} : { 'input-data': input.toString('base64') }),
  };
  const run = (path: string, arg: readonly string[], more = {}) =>
    askGuest(context, id, { execute: 'guest-exec', arguments: { path, arg, ...common, ...more } }, signal);
  try {
    return (await run('/bin/sh', ['-c', keepingShell, 'sh', ...variables, '--', ...command])) as Started;
  } catch (error) {
    if (!(error instanceof VirgaError) || error.code !== 'GuestRefused') throw error;
    const [path = '', ...rest] = command;
    // Here variables replace the agent's own, so none are sent when none were asked for.
    return (await run(path, rest, variables.length > 0 ? { env: variables } : {})) as Started;
  }
}

function resultOf(pid: number, status: Status): GuestCommandResult {
  const stdout = Buffer.from(status['out-data'] ?? '', 'base64');
  const stderr = Buffer.from(status['err-data'] ?? '', 'base64');
  const isLong = Math.max(stdout.length, stderr.length) > maxGuestOutputBytes;
  return {
    pid,
    exitCode: status.exited ? exitCodeOf(status) : null,
    stdout: stdout.subarray(0, maxGuestOutputBytes),
    stderr: stderr.subarray(0, maxGuestOutputBytes),
    truncated: isLong || status['out-truncated'] === true || status['err-truncated'] === true,
  };
}

const exitCodeOf = ({ signal, exitcode = 0 }: Status): number =>
  signal === undefined ? exitcode : signalBase + signal;
