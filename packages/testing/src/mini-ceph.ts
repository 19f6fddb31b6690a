// A Ceph cluster for tests: one monitor, one manager and one OSD on a sparse file, with a pool and a user for guests. It is
// started in about twenty seconds, as processes of the caller, in a folder of its own, on the loopback of the test run's
// network, and is ended with all its processes. Needs root and Ceph's programs.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

const run = promisify(execFile);
const osdBytes = 4 * 1024 ** 3;

export type MiniCeph = {
  monitors: string[];
  pool: string;
  user: string;
  /** Of that user, base64. */
  key: string;
  /** Runs a program of Ceph as its administrator, such as `rbd`. */
  run(program: string, args: readonly string[]): Promise<string>;
  close(): Promise<void>;
};

export const hasCeph = (): Promise<boolean> =>
  run('ceph-osd', ['--version']).then(
    () => true,
    () => false,
  );

/**
 * @param watchSeconds how long it believes that a client which was killed has its images open; default Ceph's half a minute
 * @throws Error outside of the namespaces that `script/test` makes: it listens where another cluster may
 */
export async function startMiniCeph({ watchSeconds = 30 } = {}): Promise<MiniCeph> {
  if (!process.env.VIRGA_TEST_NAMESPACE) throw new Error('Run tests that start Ceph with script/test PATH.');
  const folder = await mkdtemp(join(tmpdir(), 'virga-ceph.'));
  const daemons: ChildProcess[] = [];
  const close = async () => {
    for (const daemon of daemons.reverse()) await endDaemon(daemon);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return await start(folder, watchSeconds, daemons, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  folder: string,
  watchSeconds: number,
  daemons: ChildProcess[],
  close: () => Promise<void>,
): Promise<MiniCeph> {
  const conf = join(folder, 'ceph.conf');
  const at = (name: string) => join(folder, name);
  const fsid = randomUUID();
  // Monitors have ports of their own that clients know. Two clusters of one network differ in their address.
  const address = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
  for (const name of ['mon', 'mgr', 'osd', 'run', 'log']) await mkdir(at(name));
  const watches = `osd_client_watch_timeout = ${watchSeconds}\n`;
  await writeFile(conf, configuration(folder, fsid, address) + watches);
  const ceph = async (program: string, args: readonly string[]) => {
    const once = async () => (await run(program, ['--conf', conf, ...args], { timeout: 120_000 })).stdout;
    // On a busy machine the programs of Ceph 16 now and then die of their own threads.
    return once().catch((error: { signal?: string }) => (error.signal === 'SIGABRT' ? once() : Promise.reject(error)));
  };
  const tool = (...args: string[]) => run('ceph-authtool', args);
  const daemon = (program: string, id: string) => {
    const args = ['--conf', conf, '--foreground', '--id', id];
    daemons.push(spawn(program, args, { stdio: 'ignore' }));
  };

  const all = [
    '--cap',
    'mon',
    'allow *',
    '--cap',
    'osd',
    'allow *',
    '--cap',
    'mgr',
    'allow *',
    '--cap',
    'mds',
    'allow *',
  ];
  await tool('--create-keyring', at('mon.keyring'), '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *');
  await tool('--create-keyring', at('client.admin.keyring'), '--gen-key', '-n', 'client.admin', ...all);
  await tool(at('mon.keyring'), '--import-keyring', at('client.admin.keyring'));
  await run('monmaptool', [
    '--create',
    '--addv',
    'a',
    `[v2:${address}:3300,v1:${address}:6789]`,
    '--fsid',
    fsid,
    at('monmap'),
  ]);
  await run('ceph-mon', [
    '--conf',
    conf,
    '--mkfs',
    '-i',
    'a',
    '--monmap',
    at('monmap'),
    '--keyring',
    at('mon.keyring'),
  ]);
  daemon('ceph-mon', 'a');
  await ceph('ceph', ['--connect-timeout', '60', '-s']);

  const manager = ['mon', 'allow profile mgr', 'osd', 'allow *', 'mds', 'allow *'];
  await writeFile(at('mgr.x.keyring'), await ceph('ceph', ['auth', 'get-or-create', 'mgr.x', ...manager]));
  daemon('ceph-mgr', 'x');

  const osdUuid = randomUUID();
  const osdKey = (await run('ceph-authtool', ['--gen-print-key'])).stdout.trim();
  await writeFile(at('osd.json'), JSON.stringify({ cephx_secret: osdKey }));
  const osd = (await ceph('ceph', ['osd', 'new', osdUuid, '-i', at('osd.json')])).trim();
  await tool('--create-keyring', at(`osd.${osd}.keyring`), '--name', `osd.${osd}`, '--add-key', osdKey);
  await run('ceph-osd', ['--conf', conf, '-i', osd, '--mkfs', '--osd-uuid', osdUuid], { timeout: 120_000 });
  daemon('ceph-osd', osd);

  await until('the OSD is up', async () => (await ceph('ceph', ['osd', 'stat'])).includes('1 up'), {
    timeoutMs: 120_000,
  });
  const pool = 'virga-test';
  await ceph('ceph', ['osd', 'pool', 'create', pool, '8', '8', 'replicated']);
  await ceph('ceph', ['osd', 'pool', 'application', 'enable', pool, 'rbd']);
  await until('the pool is clean', async () => (await ceph('ceph', ['pg', 'stat'])).includes('active+clean'), {
    timeoutMs: 120_000,
  });
  const user = 'guests';
  const caps = ['mon', 'profile rbd', 'osd', `profile rbd pool=${pool}`, 'mgr', 'allow r'];
  await ceph('ceph', ['auth', 'get-or-create', `client.${user}`, ...caps]);
  const key = (await ceph('ceph', ['auth', 'print-key', `client.${user}`])).trim();
  return { monitors: [`${address}:6789`], pool, user, key, run: ceph, close };
}

const configuration = (folder: string, fsid: string, address: string): string => `[global]
fsid = ${fsid}
mon_host = ${address}
mon_initial_members = a
public_addr = ${address}
cluster_addr = ${address}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = ${folder}/$name.keyring
run_dir = ${folder}/run
pid_file = ${folder}/run/$name.pid
log_file = ${folder}/log/$name.log
admin_socket = ${folder}/run/$name.asok
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_crush_chooseleaf_type = 0
osd_objectstore = bluestore
osd_memory_target = 939524096
osd_memory_cache_min = 67108864
bluestore_cache_size = 67108864
bluestore_block_size = ${osdBytes}
bluestore_rocksdb_cfs =
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 1
mon_data = ${folder}/mon
mgr_data = ${folder}/mgr
osd_data = ${folder}/osd
mgr_initial_modules =
mon_osd_down_out_interval = 0
setuser_match_path =
`;

/** A cluster that is thrown away need not end in order. */
export async function endDaemon(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill('SIGKILL');
  await ended;
}
