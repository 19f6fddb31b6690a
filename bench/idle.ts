// What a server costs that has nothing to do: processor time and memory of the control plane and of its PostgreSQL, with 100
// simulated instances that run, beside a libvirtd that has nothing to do either, over the same time.
//
// usage: script/node --conditions=development bench/idle.ts [SECONDS, default 60] [INSTANCES, default 100]
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@virga/control-plane/store/database';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { until } from '@virga/testing/until';
import { bundleProgram } from '../packages/virga/bundle.ts';
import { serverEnvironment, serverNodeOptions } from '../packages/virga/src/server/node-options.ts';
import { startSharedServices } from '../script/test-run/shared-services.ts';
import { figure, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';

const aim = { coreShare: 0.01, memoryMib: 200 };
/** What launching has left to do is over by then, such as what PostgreSQL writes back. */
const settleMs = 15_000;
const ticksPerSecond = 100;

type Wanted = { isWanted: (pid: number, name: string) => boolean; memory: 'Pss' | 'Rss' };
type Sample = { cpuSeconds: number; memoryMib: number; processes: number };

/**
 * Of all processes of that name, which in these namespaces are those of the run.
 * @param memory `Pss`: what several of them share counts once; `Rss`: all of it, also what this benchmark happens to share
 */
function sampleOf({ isWanted, memory: counted }: Wanted): Sample {
  const total = { cpuSeconds: 0, memoryMib: 0, processes: 0 };
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      const [, name = '', rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      if (!isWanted(pid, name)) continue;
      // From the third field of proc(5) on: utime, stime, and those of children that have ended, are 14 to 17.
      const ticks = rest.split(' ').slice(11, 15).map(Number);
      const memory = new RegExp(`^${counted}:\\s+(\\d+) kB`, 'm').exec(
        readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'),
      );
      total.cpuSeconds += ticks.reduce((sum, value) => sum + value, 0) / ticksPerSecond;
      total.memoryMib += Number(memory?.[1]) / 1024;
      total.processes += 1;
    } catch {
      // It has ended meanwhile.
    }
  }
  return total;
}

/** The server as a process of its own, made and run as `script/up` does it, ready once its instances run. */
async function startServer(database: object, instances: number) {
  const folder = mkdtempSync(join(tmpdir(), 'virga-idle-server-'));
  const file = join(folder, 'server.mjs');
  await bundleProgram(join(import.meta.dirname, 'idle/server.ts'), file, 'bench');
  const server = spawn(process.execPath, [...serverNodeOptions, file, JSON.stringify(database), String(instances)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...serverEnvironment },
  });
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  let said = '';
  server.stdout.on('data', (chunk) => {
    said += chunk;
  });
  await until('the instances run', () => said.includes('ready'), { timeoutMs: 300_000 });
  const close = async () => {
    server.stdin.end();
    await ended;
    rmSync(folder, { recursive: true });
  };
  return { pid: server.pid!, close };
}

async function main(): Promise<void> {
  const [seconds = 60, instances = 100] = process.argv.slice(2).map(Number);
  const services = await startSharedServices();
  Object.assign(process.env, services.env);
  const database = await createTemporaryDatabase();
  const server = await startServer(database.config, instances);
  await sleep(settleMs);
  const store = openStore({ ...database.config, max: 1 });
  const transactions = async () =>
    Number(
      (await store.pool.query('select xact_commit from pg_stat_database where datname = current_database()')).rows[0]
        .xact_commit,
    );
  const wanted: Record<string, Wanted> = {
    'control plane': { isWanted: (pid) => pid === server.pid, memory: 'Rss' },
    PostgreSQL: { isWanted: (_pid, name) => name === 'postgres', memory: 'Pss' },
    'libvirtd, without domains': { isWanted: (_pid, name) => name === 'libvirtd', memory: 'Rss' },
  };
  const sampleAll = () => Object.values(wanted).map(sampleOf);
  const [before, transactionsBefore] = [sampleAll(), await transactions()];
  await sleep(seconds * 1000);
  const [after, transactionsAfter] = [sampleAll(), await transactions()];
  const rows = Object.keys(wanted).map((title, index) => ({
    title,
    percent: ((after[index]!.cpuSeconds - before[index]!.cpuSeconds) / seconds) * 100,
    memoryMib: after[index]!.memoryMib,
  }));
  const ours = rows.slice(0, 2);
  const total = {
    title: 'both of ours',
    percent: ours.reduce((sum, { percent }) => sum + percent, 0),
    memoryMib: ours.reduce((sum, { memoryMib }) => sum + memoryMib, 0),
  };
  const cells = [...rows, total].map(({ title, percent, memoryMib }) => [title, figure(percent), figure(memoryMib)]);
  console.log(table([`${instances} instances, ${seconds} s`, '% of a core', 'MiB'], cells));
  console.log(
    `\naim: both of ours below ${aim.coreShare * 100} % of a core and ${aim.memoryMib} MiB. Transactions a minute: ${figure(((transactionsAfter - transactionsBefore) / seconds) * 60)}.`,
  );
  await store.close();
  await server.close();
  await database.drop();
  await services.close();
}

if (inNamespaces(import.meta.filename)) await main();
