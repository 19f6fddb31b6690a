// What a launch gains from a copy of a running guest: from the API call to the greeting of the SSH server, warm beside cold,
// the same image and type, pair by pair, so that both meet the same machine. Also what the copies share of their memory.
//
// usage: script/node --conditions=development bench/warm.ts [PAIRS, default 5] [TYPE, default small]
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Instance } from '@virga/contract/rest/instances';
import { until } from '@virga/testing/until';
import { figure, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';
import { BenchCloud } from './launch/cloud.ts';

const aim = 0.15;
const usualMs = 120_000;

/** True when the SSH server of that address greets. */
function greets(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 22, timeout: 250 });
    const end = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('data', (bytes) => end(bytes.toString().startsWith('SSH-')));
    socket.once('error', () => end(false)).once('timeout', () => end(false));
  });
}

async function secondsToSsh(cloud: BenchCloud, name: string, type: string, warm: 'always' | 'never') {
  const startedAt = performance.now();
  const body = { name, image: 'starter', type, keyPairs: [], warm };
  const { instance, operationId } = await cloud.client.launchInstance({ body });
  const { address } = instance.networkInterfaces[0]!;
  await until('SSH greets', () => greets(address), { timeoutMs: usualMs, intervalMs: 5 });
  const seconds = (performance.now() - startedAt) / 1000;
  await cloud.follow(operationId);
  return { seconds, instance: await cloud.byName(name) };
}

/** MiB of the guest's memory that are there, and those of them that are shared. */
function memoryOf({ id }: Instance): { residentMib: number; sharedMib: number } {
  const pid = Number(readFileSync(`/run/libvirt/qemu/spare.${id}.pid`, 'utf8'));
  const maps = readFileSync(`/proc/${pid}/smaps`, 'utf8');
  const mapping = maps.slice(maps.indexOf('/memory\n'));
  const mib = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(mapping)?.[1] ?? 0) / 1024;
  return { residentMib: mib('Rss'), sharedMib: mib('Shared_Clean') + mib('Shared_Dirty') };
}

async function main(): Promise<void> {
  const [pairs = 5, type = 'small'] = [process.argv[2] ? Number(process.argv[2]) : undefined, process.argv[3]];
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  if (!image) throw new Error('VIRGA_TEST_STARTER_IMAGE names no image: run this with script/bench warm.');
  console.error('bench: making a cloud');
  const cloud = await BenchCloud.start(image, process.env.VIRGA_TEST_NAMESPACE ?? '');
  const [starter] = (await cloud.client.listImages({ query: { name: 'starter' } })).items;
  const copiesWait = async () => {
    const [kept] = (await cloud.client.listWarmImages()).items;
    if (kept?.state === 'failed') throw new Error(kept.stateReason ?? 'no guest is kept');
    return kept?.state === 'ready' && kept.waiting === kept.pool;
  };
  const madeAt = performance.now();
  await cloud.client.warmImage({ params: { id: starter!.id }, body: { type, pool: 1 } });
  await until('a copy waits', copiesWait, { timeoutMs: usualMs });
  console.error(`bench: a guest is kept and a copy waits after ${figure((performance.now() - madeAt) / 1000)} s`);

  const [cold, warm]: [number[], number[]] = [[], []];
  const copies: Instance[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const booted = await secondsToSsh(cloud, `cold-${pair}`, type, 'never');
    await cloud.delete(booted.instance);
    await until('a copy waits', copiesWait, { timeoutMs: usualMs });
    const copy = await secondsToSsh(cloud, `warm-${pair}`, type, 'always');
    if (copy.instance.launchPath !== 'warm') throw new Error('a copy began cold');
    copies.push(copy.instance);
    cold.push(booted.seconds);
    warm.push(copy.seconds);
    console.error(`bench: cold ${figure(booted.seconds)} s, warm ${figure(copy.seconds)} s`);
    await until('a copy waits', copiesWait, { timeoutMs: usualMs });
  }
  const memory = copies.map(memoryOf);
  cloud.stop();

  const row = (title: string, { min, median, max }: ReturnType<typeof spread>) => [
    title,
    ...[min, median, max].map(figure),
  ];
  const rows = [row('API call to SSH, cold', spread(cold)), row('API call to SSH, warm', spread(warm))];
  console.log(`${pairs} pairs, type ${type}\n`);
  console.log(table(['seconds', 'min', 'median', 'max'], rows));
  console.log(`\nwarm over cold: ${figure(spread(warm).median / spread(cold).median)} x (aim: at most ${aim} x)`);
  const resident = spread(memory.map(({ residentMib }) => residentMib)).median;
  const shared = spread(memory.map(({ sharedMib }) => sharedMib)).median;
  console.log(`of ${figure(resident)} MiB of a copy's memory that are there, ${figure(shared)} MiB are shared`);
}

if (inNamespaces(import.meta.filename)) await main();
