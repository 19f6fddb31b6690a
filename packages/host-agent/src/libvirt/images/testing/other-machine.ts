// Another machine for tests: a network namespace that is linked to this one, with a web server in it. It ends with the test.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '../../../contract-suite/eventually.ts';
import { runCommand } from '../../../run-command.ts';

export type Asked = { path: string; times: number; range: string | null; ifRange: string | null };
export type OtherMachine = {
  address: string;
  /** An address that anybody may read from, as far as the rules know. */
  publicAddress: string;
  url(path: string, address?: string): string;
  asked: Asked[];
  close(): Promise<void>;
};

const port = 8080;
const [ownAddress, address, publicAddress] = ['198.51.100.1', '198.51.100.2', '93.184.215.14'];

/** @param folder whose files it serves */
export async function openOtherMachine(folder: string): Promise<OtherMachine> {
  const name = `vw${randomBytes(4).toString('hex')}`;
  const asked: Asked[] = [];
  const server = spawn(
    'unshare',
    [
      '--net',
      '--',
      process.execPath,
      ...process.execArgv,
      join(import.meta.dirname, 'web-server.ts'),
      folder,
      `${port}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let isListening = false;
  createInterface(server.stdout!).on('line', (line) => {
    if (line === 'listening') isListening = true;
    else asked.push(JSON.parse(line) as Asked);
  });
  await eventually('the web server listens', () => isListening || undefined);
  const ip = (...args: string[]) => runCommand('ip', args);
  const there = (...args: string[]) => runCommand('nsenter', [`--net=/proc/${server.pid}/ns/net`, 'ip', ...args]);
  await ip('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`, 'netns', String(server.pid));
  await ip('address', 'add', `${ownAddress}/24`, 'dev', `${name}a`);
  await ip('link', 'set', `${name}a`, 'up');
  await ip('route', 'add', `${publicAddress}/32`, 'via', address);
  await there('address', 'add', `${address}/24`, 'dev', `${name}b`);
  await there('link', 'set', `${name}b`, 'up');
  await there('link', 'set', 'lo', 'up');
  await there('address', 'add', `${publicAddress}/32`, 'dev', 'lo');
  return {
    address,
    publicAddress,
    asked,
    url: (path, at = address) => `http://${at}:${port}/${path}`,
    close: () => end(server),
  };
}

/** The link goes with the namespace. */
async function end(server: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await ended;
}
