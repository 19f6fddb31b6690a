// The process that makes the same calls through python3-libvirt, for as long as the benchmark runs.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Peer = {
  /** Repeats a scenario; answers calls per second. */
  measure(scenario: string, callers: number, seconds: number): Promise<number>;
  close(): Promise<void>;
};

/** The distribution's Python, since its libvirt module belongs to no other. */
const python = '/usr/bin/python3';

export function startPythonPeer(socketPath: string, firstDomain: string): Peer {
  const script = join(import.meta.dirname, 'peer.py');
  const child = spawn(python, [script, socketPath, firstDomain], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async measure(scenario, callers, seconds) {
      child.stdin.write(`${scenario} ${callers} ${seconds}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('python3-libvirt ended. Is it installed? Run script/setup bench.');
      return Number(value);
    },
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
