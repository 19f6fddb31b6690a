// What only the real host has of guests that somebody moved: taskset, which libvirt does not know of, and definitions that say
// themselves where a guest runs.
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import { type ImageId, newId } from '@virga/contract/ids';
import { tinyGuestDisk } from '../contract-suite/tiny-guest.ts';
import { runCommand } from '../run-command.ts';
import type { StepHook } from '../step-hook.ts';
import { gibibyte, openTestHost, type TestHost } from './testing/test-host.ts';

let host: TestHost;
let network: DesiredNetwork;
let imageId: ImageId;
let all: number[];
const nothing: StepHook = () => undefined;
let onStep = nothing;
before(async () => {
  host = await openTestHost(171, { hook: (step, id) => onStep(step, id) });
  const { agent, cloudId } = host;
  const path = join(host.storagePath, 'tiny.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true }), { mode: 0o644 });
  imageId = newId('image');
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
  network = host.network();
  await agent.applyNetwork(network);
  all = (await agent.facts()).cpus.map(({ id }) => id);
  assert.ok(all.length >= 2, 'this needs two CPUs');
});
after(() => host.close());

async function launched(t: TestContext, changes: Partial<DesiredInstance> = {}): Promise<DesiredInstance> {
  const desired = host.instance(network, imageId, { nics: [], ...changes });
  t.after(() => host.agent.deleteInstance(desired));
  assert.equal((await host.agent.applyInstance(desired)).state, 'running');
  return desired;
}

const keep = () => host.agent.keepCpus(host.cloudId);

async function threadsOf({ domainName }: DesiredInstance): Promise<{ tid: number; name: string; allowed: string }[]> {
  const pid = Number((await readFile(`/run/libvirt/qemu/${domainName}.pid`, 'utf8')).trim());
  const tids = await readdir(`/proc/${pid}/task`);
  const threads = await Promise.all(
    tids.map(async (tid) => {
      // QEMU ends threads of its own that have nothing to do.
      const status = await readFile(`/proc/${pid}/task/${tid}/status`, 'utf8').catch(() => undefined);
      if (status === undefined) return [];
      const [, name = ''] = /^Name:\t(.*)$/m.exec(status) ?? [];
      return [{ tid: Number(tid), name, allowed: /^Cpus_allowed_list:\t(.*)$/m.exec(status)![1]! }];
    }),
  );
  return threads.flat();
}

const taskset = (tid: number, cpu: number) => runCommand('taskset', ['--cpu-list', '--pid', String(cpu), String(tid)]);

test('a thread that taskset has moved is moved back, though libvirt knows of nothing; so are those it has made since', async (t) => {
  const desired = await launched(t);
  assert.deepEqual(await keep(), []);
  const threads = await threadsOf(desired);
  const vcpu = threads.find(({ name }) => name.startsWith('CPU 0'))!;
  const helper = threads.find(({ name }) => name === 'call_rcu' || name.startsWith('IO '))!;
  await taskset(vcpu.tid, all[1]!);
  await taskset(helper.tid, all[1]!);
  const found = await keep();
  const expected = `vCPU 0 could run on CPU ${all[1]} instead of ${formatCpuList(all)}`;
  assert.deepEqual(found, [{ id: desired.id, changes: [expected] }]);
  for (const { name, allowed } of await threadsOf(desired)) assert.equal(allowed, formatCpuList(all), name);

  // QEMU's own are put back without a word: it makes such threads by itself.
  await taskset(helper.tid, all[0]!);
  assert.deepEqual(await keep(), []);
  for (const { name, allowed } of await threadsOf(desired)) assert.equal(allowed, formatCpuList(all), name);
});

test('a thread of its disks, too, is moved back', async (t) => {
  const driver = { cache: 'none', aio: 'native', discard: 'unmap', ioThread: true } as const;
  const rootDisk = { id: newId('volume'), imageId, sizeBytes: gibibyte, driver };
  const desired = await launched(t, { rootDisk });
  assert.deepEqual(await keep(), []);
  const ref = await host.outside.domains.lookupByUuid(desired.uuid);
  const [thread] = await host.outside.domains.iothreads(ref);
  await host.outside.domains.pinIothread(ref, thread!.id, [all[0]!], { live: true });
  assert.deepEqual(await keep(), [
    {
      id: desired.id,
      changes: [`its I/O thread ${thread!.id} could run on CPU ${all[0]} instead of ${formatCpuList(all)}`],
    },
  ]);
  assert.deepEqual((await host.outside.domains.iothreads(ref))[0]?.allowedCpus, all);
});

test('a guest whose kept definition says where it runs stays there', async (t) => {
  const pinned = `<vcpupin vcpu='0' cpuset='${all[1]}'/>`;
  const overlay = [{ op: 'add', path: '/domain', xml: `<cputune>${pinned}</cputune>` }] as const;
  const desired = await launched(t, { overlay: [...overlay] });
  const places = async () => (await threadsOf(desired)).find(({ name }) => name.startsWith('CPU 0'))!.allowed;
  assert.equal(await places(), String(all[1]));
  assert.deepEqual(await keep(), []);
  assert.equal(await places(), String(all[1]));
});

test('an adopted domain is left alone as long as the host keeps no CPU from anybody', async (t) => {
  const xml = `<domain type='qemu'><name>adopted-${newId('instance')}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`;
  const ref = await host.outside.domains.defineXml(xml);
  t.after(async () => {
    await host.outside.domains.destroy(ref).catch(() => undefined);
    await host.outside.domains.undefine(ref).catch(() => undefined);
  });
  await host.outside.domains.create(ref);
  const desired = host.instance(network, imageId, {
    origin: 'adopted',
    uuid: ref.uuid,
    domainName: ref.name,
    nics: [],
    memoryMib: 32,
    maxMemoryMib: 32,
  });
  await host.agent.applyInstance(desired);
  await host.outside.domains.pinVcpu(ref, 0, [all[1]!], { live: true });
  assert.deepEqual(await keep(), []);
  const pools = { reserved: [], dedicated: [], guestModel: null };
  t.after(() => host.agent.applyCpuPools(host.cloudId, pools));
  await host.agent.applyCpuPools(host.cloudId, { ...pools, dedicated: [all[1]!] });
  await host.outside.domains.pinVcpu(ref, 0, [all[1]!], { live: true });
  const others = formatCpuList(all.filter((cpu) => cpu !== all[1]));
  assert.deepEqual(await keep(), [
    { id: desired.id, changes: [`vCPU 0 could run on CPU ${all[1]} instead of ${others}`] },
  ]);
});

test('a guest that is started while the CPUs of its host are divided anew runs where it may then', async (t) => {
  const divide = (dedicated: number[]) =>
    host.agent.applyCpuPools(host.cloudId, { reserved: [], dedicated, guestModel: null });
  t.after(() => divide([]));
  onStep = async (step) => {
    if (step !== 'start') return;
    onStep = nothing;
    await divide([all[0]!]);
  };
  const desired = await launched(t);
  assert.deepEqual(await keep(), []);
  for (const { name, allowed } of await threadsOf(desired)) assert.equal(allowed, formatCpuList(all.slice(1)), name);
});
