// Starts the server in the background and waits until it serves: as a unit of systemd where the machine has one and the
// folders are the default ones, else as a detached process. And stops it, whatever started it.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fromProblem, type Problem, VirgaError } from '@virga/contract/errors';
import { lastWords, runCommand } from '../machine/run-command.ts';
import { hasSystemd } from '../machine/services.ts';
import { installUnit, unitIsCurrent, unitIsInstalled, unitName, unitText } from '../machine/systemd-unit.ts';
import { defaultStateFolder, type Folders, prepareFolders } from './folders.ts';
import { serverEnvironment, serverNodeOptions } from './node-options.ts';
import { stopAbandonedCluster } from './private-cluster.ts';
import { readServerRecord, type ServerRecord } from './server-record.ts';
import { lockHolder } from './state-lock.ts';

const startTimeoutMs = 180_000;
const stopTimeoutMs = 60_000;
const pauseMs = 50;

/** True when systemd looks after the server of these folders. */
export const isUnit = (folders: Folders) => hasSystemd() && folders.state === defaultStateFolder;

/** This program as it runs now, and the words that make it the server of these folders. */
function serverCommand(folders: Folders): string[] {
  const program = process.argv[1] ?? '';
  return [
    process.execPath,
    ...process.execArgv,
    ...serverNodeOptions,
    program,
    'server',
    '--state',
    folders.state,
    '--run',
    folders.run,
  ];
}

const unitOf = (folders: Folders) => unitText(serverCommand(folders), serverEnvironment);

/** What is not as it should be with the unit; nothing where there is none. */
export const unitIsStale = (folders: Folders) => isUnit(folders) && !unitIsCurrent(unitOf(folders));

/** @throws what kept the server from starting; then none runs */
export async function startInBackground(folders: Folders): Promise<ServerRecord> {
  prepareFolders(folders);
  return isUnit(folders) ? startUnit(folders) : startDetached(folders);
}

async function startUnit(folders: Folders): Promise<ServerRecord> {
  const text = unitOf(folders);
  if (!unitIsCurrent(text)) await installUnit(text);
  await runCommand(['systemctl', 'enable', unitName]);
  await runCommand(['systemctl', 'restart', unitName]);
  const failed = async () => (await unitState()) === 'failed';
  const record = await whenServing(folders, failed);
  if (record) return record;
  throw new VirgaError('OperationFailed', {
    detail: `${unitName} does not come up.`,
    action: `Mend what it says: journalctl --unit ${unitName} --lines 20`,
  });
}

async function unitState(): Promise<string> {
  return (await runCommand(['systemctl', 'show', '--property', 'ActiveState', '--value', unitName])).trim();
}

async function startDetached(folders: Folders): Promise<ServerRecord> {
  const [program = '', ...args] = serverCommand(folders);
  // Holds what the server says before its log is open, and what Node says when it breaks down.
  const path = join(folders.log, 'server.stderr');
  const output = openSync(path, 'w', 0o640);
  // With NODE_OPTIONS=--enable-source-maps stacks lead to the sources, for 45 MiB; without, to the bundle.
  const { PATH, HOME, LANG, NODE_COMPILE_CACHE, NODE_OPTIONS } = process.env;
  const env = { PATH, HOME, LANG, NODE_COMPILE_CACHE, NODE_OPTIONS, ...serverEnvironment };
  const child = spawn(program, [...args, '--log', 'file', '--output', 'json'], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output, output],
    env: JSON.parse(JSON.stringify(env)) as NodeJS.ProcessEnv,
  });
  closeSync(output);
  let spawnError: Error | undefined;
  child.on('error', (error) => {
    spawnError = error;
  });
  const record = await whenServing(folders, async () => hasEnded(child) || spawnError !== undefined);
  child.unref();
  if (record) return record;
  if (!hasEnded(child)) child.kill('SIGTERM');
  throw failureIn(readFileSync(path, 'utf8'), folders, spawnError);
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

async function whenServing(folders: Folders, failed: () => Promise<boolean>): Promise<ServerRecord | undefined> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline) {
    const record = readServerRecord(folders);
    if (record) return record;
    if (await failed()) return undefined;
    await delay(pauseMs);
  }
  return undefined;
}

/** The error that the server reported, as it stands at the end of its output. */
function failureIn(output: string, folders: Folders, cause: Error | undefined): VirgaError {
  const start = output.lastIndexOf('\n{') + 1;
  try {
    return fromProblem(JSON.parse(output.slice(start)) as Problem);
  } catch {
    return new VirgaError('OperationFailed', {
      detail: `The server does not come up: ${cause?.message ?? lastWords(output)}`,
      action: `Read ${join(folders.log, 'server.log')} for more.`,
      cause,
    });
  }
}

/**
 * Stops the server of these folders, and its database also when the server was killed. Nothing running is success.
 * @throws Timeout it does not stop
 */
export async function stopServer(folders: Folders): Promise<void> {
  if (isUnit(folders) && unitIsInstalled()) await runCommand(['systemctl', 'disable', '--now', unitName]);
  const pid = lockHolder(folders.state);
  if (pid !== undefined) {
    process.kill(pid, 'SIGTERM');
    const deadline = performance.now() + stopTimeoutMs;
    while (lockHolder(folders.state) !== undefined) {
      if (performance.now() > deadline) {
        throw new VirgaError('Timeout', {
          detail: `The server (process ${pid}) does not stop.`,
          action: `Read ${join(folders.log, 'server.log')}, and end it with kill -9 ${pid}: nothing is lost by that.`,
        });
      }
      await delay(pauseMs);
    }
  }
  await stopAbandonedCluster(folders.database);
}
