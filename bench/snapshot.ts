// What a guest notices of snapshots: the longest time that one write with fdatasync takes, of a guest that does nothing else,
// while a snapshot of it is taken, with and without memory, and while one is deleted, which merges what was written since.
// Beside the same guest left alone, and `virsh snapshot-create-as` of it, turn by turn. And how long each takes.
//
// usage: script/node --conditions=development bench/snapshot.ts [TURNS, default 3]
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { newId } from '@virga/contract/ids';
import { BenchGuest } from '@virga/host-agent/libvirt/host-bench/bench-guest';
import { Hypervisor } from '@virga/host-agent/libvirt/hypervisor';
import { gibibyte, openTestHost } from '@virga/host-agent/libvirt/testing/test-host';
import { startHypervisor } from '@virga/testing/hypervisor';
import { figure, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';

const run = promisify(execFile);
const turns = Number(process.argv[2] ?? 3);
const seconds = 12;
/** From the start of the writer to the act. */
const untilActMs = 5_000;

type Fio = { jobs: [{ write: { clat_ns: { max: number }; total_ios: number }; sync: { lat_ns: { max: number } } }] };

async function main(): Promise<void> {
  const image = process.env.VIRGA_TEST_BENCH_IMAGE;
  if (!image) throw new Error('VIRGA_TEST_BENCH_IMAGE names no image: run this with script/bench snapshot.');
  const libvirt = await startHypervisor();
  const host = await openTestHost(251);
  const hypervisor = new Hypervisor({ socketPath: '/run/libvirt/libvirt-sock' });
  try {
    const { agent, cloudId, outside } = host;
    const imageId = newId('image');
    const source = { kind: 'file' as const, path: image };
    await agent.importImage({ id: imageId, cloudId, generation: 1, source, format: 'qcow2' });
    const base = host.instance(host.network(), imageId, { nics: [], memoryMib: 256, maxMemoryMib: 256 });
    const desired = { ...base, rootDisk: { ...base.rootDisk, sizeBytes: gibibyte } };
    await agent.applyInstance(desired);
    const ref = await outside.domains.lookupByName(desired.domainName);
    const guest = new BenchGuest({ hypervisor }, ref, new AbortController().signal);
    await guest.booted();
    console.log(`the guest writes to ${(await guest.run('awk \'$2 == "/"\' /proc/mounts')).trim()}`);

    const snapshotOf = (memory: boolean) => ({
      ...{ id: newId('snapshot'), cloudId, name: 'bench', memory, mustExist: false, keepsake: {} },
      instance: { id: desired.id, uuid: desired.uuid, domainName: desired.domainName },
    });
    let taken = snapshotOf(false);
    const take = async (memory: boolean) => {
      taken = snapshotOf(memory);
      consistency.add((await agent.applySnapshot(taken)).consistency);
    };
    const consistency = new Set<string>();
    const theirs = () => join(host.storagePath, 'instances', desired.id, 'theirs.qcow2');
    const virsh = (...more: string[]) => {
      const spec = `vda,snapshot=external,file=${theirs()}`;
      const args = ['--disk-only', '--atomic', '--no-metadata', '--diskspec', spec, '--diskspec', 'vdb,snapshot=no'];
      return run('virsh', ['snapshot-create-as', desired.domainName, 'bench', ...args, ...more]);
    };
    const mergeTheirs = async () => {
      await run('virsh', ['blockcommit', desired.domainName, 'vda', '--shallow', '--active', '--pivot', '--wait']);
      await run('rm', ['-f', theirs()]);
    };
    const drop = () => agent.deleteSnapshot(taken);
    const acts: {
      name: string;
      before?: () => Promise<unknown>;
      act: () => Promise<unknown>;
      after?: () => Promise<unknown>;
    }[] = [
      { name: 'nothing', act: async () => undefined },
      { name: 'virsh snapshot-create-as', act: () => virsh(), after: mergeTheirs },
      { name: 'virsh … --quiesce', act: () => virsh('--quiesce'), after: mergeTheirs },
      { name: 'virga, disks', act: () => take(false), after: drop },
      { name: 'virga, with memory', act: () => take(true), after: drop },
      {
        name: 'virga, deletion of 64 MiB',
        before: async () => {
          await take(false);
          await fill(guest);
        },
        act: drop,
      },
    ];
    const gaps = new Map<string, number[]>(acts.map(({ name }) => [name, []]));
    const times = new Map<string, number[]>(acts.map(({ name }) => [name, []]));
    for (let turn = 0; turn < turns; turn++) {
      for (const { name, before, act, after } of acts) {
        await before?.();
        const writing = guest.run(
          `fio --name=bench --filename=/bench.dat --rw=write --bs=4k --size=16m --fdatasync=1 --time_based --runtime=${seconds} --output-format=json`,
          seconds * 1000,
        );
        await delay(untilActMs);
        const startedMs = performance.now();
        await act();
        times.get(name)!.push(performance.now() - startedMs);
        const [{ write, sync }] = (JSON.parse(await writing) as Fio).jobs;
        gaps.get(name)!.push((write.clat_ns.max + sync.lat_ns.max) / 1e6);
        await after?.();
      }
    }
    const rows = acts.map(({ name }) => {
      const [gap, time] = [spread(gaps.get(name)!), spread(times.get(name)!)];
      return [name, figure(gap.min), figure(gap.median), figure(gap.max), figure(time.median)];
    });
    console.log(table(['meanwhile', 'longest ms, min', 'median', 'max', 'takes ms'], rows));
    const of = (name: string) => spread(gaps.get(name)!).median;
    console.log(
      `\nlongest gap over that of virsh --quiesce, which freezes file systems too: ${figure(of('virga, disks') / of('virsh … --quiesce'))} x; consistency: ${[...consistency].join(', ')}`,
    );
    await agent.deleteInstance(desired);
  } finally {
    await hypervisor.close();
    await host.close();
    await libvirt.close();
  }
}

/** What a deletion has to merge. */
const fill = (guest: BenchGuest): Promise<string> =>
  guest.run('dd if=/dev/urandom of=/filled.dat bs=1M count=64 conv=fsync 2>/dev/null');

if (inNamespaces(import.meta.filename)) await main();
