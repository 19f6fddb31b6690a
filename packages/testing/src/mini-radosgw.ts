// An S3-compatible service for tests: the gateway of Ceph, over a cluster for tests. Started in some seconds beside the twenty of the
// cluster, on a free port of the loopback, and ended with it.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endDaemon, startMiniCeph } from './mini-ceph.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const gateway = 'client.rgw.a';

export type MiniS3 = {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Ends the gateway, and starts it again. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
};

export const hasRadosgw = (): Promise<boolean> =>
  run('radosgw', ['--version']).then(
    () => true,
    () => false,
  );

export async function startMiniS3(): Promise<MiniS3> {
  const ceph = await startMiniCeph();
  let daemon: ChildProcess | undefined;
  const stop = async () => {
    if (daemon) await endDaemon(daemon);
  };
  const close = async () => {
    await stop();
    await ceph.close();
  };
  try {
    const folder = join((await ceph.run('ceph-conf', ['--show-config-value', 'run_dir'])).trim(), '..');
    const keyring = join(folder, `${gateway}.keyring`);
    const caps = ['mon', 'allow rw', 'osd', 'allow rwx'];
    await writeFile(keyring, await ceph.run('ceph', ['auth', 'get-or-create', gateway, ...caps]));
    const port = await freePort();
    const start = async () => {
      const conf = ['--conf', join(folder, 'ceph.conf'), '--name', gateway, '--keyring', keyring];
      const front = ['--rgw-frontends', `beast endpoint=127.0.0.1:${port}`];
      daemon = spawn('radosgw', [...conf, '--foreground', ...front], { stdio: 'ignore' });
      await until('the gateway answers', () => fetch(`http://127.0.0.1:${port}/`).then(() => true), {
        timeoutMs: 120_000,
        intervalMs: 100,
      });
    };
    await start();
    const keys = { accessKeyId: 'VIRGATESTVIRGATEST22', secretAccessKey: 'of-the-gateway-of-the-test' };
    const user = ['--uid', 'virga', '--display-name', 'virga'];
    const admin = ['user', 'create', ...user, '--access-key', keys.accessKeyId, '--secret-key', keys.secretAccessKey];
    await ceph.run('radosgw-admin', admin);
    return { endpoint: `http://127.0.0.1:${port}`, ...keys, stop, start, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
