// A private libvirtd with its virtlogd, at libvirt's usual socket, inside the namespaces of a test run. Tests may kill and
// restart it as they like. Refuses to start anywhere else, where it would be the machine's own.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from './until.ts';

const socketPath = '/run/libvirt/libvirt-sock';
const capabilitiesFolder = '/var/cache/libvirt/qemu/capabilities';

export type Hypervisor = {
  socketPath: string;
  /** Ends libvirtd by SIGKILL, as a crash would. Guests go on. */
  kill(): Promise<void>;
  /** Ends libvirtd in order. Guests go on. */
  stop(): Promise<void>;
  /** Starts libvirtd after `kill` or `stop`. */
  start(): Promise<void>;
  /** Ends libvirtd and virtlogd. Guests are the namespaces' to end. */
  close(): Promise<void>;
};

/**
 * Starts virtlogd and libvirtd, and answers when libvirtd takes connections.
 * @throws Error outside of the namespaces that `script/test` makes
 */
export async function startHypervisor(): Promise<Hypervisor> {
  if (!process.env.VIRGA_TEST_NAMESPACE) {
    throw new Error('Tests that start libvirtd run in namespaces of their own: run them with script/test PATH.');
  }
  mkdirSync('/run/libvirt', { recursive: true });
  const cache = process.env.VIRGA_TEST_CACHE && join(process.env.VIRGA_TEST_CACHE, 'qemu-capabilities');
  // Looking at a QEMU binary takes libvirt seconds; it trusts what it wrote down as long as nothing changed.
  if (cache && existsSync(cache)) cpSync(cache, capabilitiesFolder, { recursive: true });

  const logDaemon = await startDaemon('virtlogd', '/run/libvirt/virtlogd-sock');
  let daemon = await startDaemon('libvirtd', socketPath).catch(async (error) => {
    await endDaemon(logDaemon, 'SIGTERM');
    throw error;
  });
  const end = async (signal: NodeJS.Signals) => endDaemon(daemon, signal);
  return {
    socketPath,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start: async () => {
      daemon = await startDaemon('libvirtd', socketPath);
    },
    close: async () => {
      if (cache) keepCapabilities(cache);
      await end('SIGTERM');
      await endDaemon(logDaemon, 'SIGTERM');
    },
  };
}

async function startDaemon(name: string, socket: string): Promise<ChildProcess> {
  const log = openSync(`/var/log/libvirt/${name}.stderr.log`, 'a');
  const child = spawn(name, [], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  const isUp = async () => child.exitCode !== null || (await canConnect(socket));
  await until(`${name} takes connections`, isUp);
  if (child.exitCode !== null)
    throw new Error(`${name} ended with code ${child.exitCode}: see its log in /var/log/libvirt.`);
  return child;
}

async function endDaemon(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function keepCapabilities(cache: string): void {
  if (existsSync(cache) || !existsSync(capabilitiesFolder) || readdirSync(capabilitiesFolder).length === 0) return;
  const fresh = `${cache}.${process.pid}`;
  cpSync(capabilitiesFolder, fresh, { recursive: true });
  try {
    renameSync(fresh, cache);
  } catch {
    rmSync(fresh, { recursive: true }); // another run was faster
  }
}
