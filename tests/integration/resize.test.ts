// A guest that gets other sizes, as a person asks for them with the command line: in the running guest where that is possible,
// by a restart where it is asked for, and refused with a sentence before anything changes where it is not.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(image, 'script/test names the starter image');
  await Promise.all([
    cloud.done(`images register ${image} --name starter --format qcow2 --login-user root --wait`),
    cloud.done('networks create default --cidr 10.202.0.0/24 --wait'),
    cloud.done('keys create laptop'),
  ]);
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const inGuest = async (command: string) => (await cloud.done(`ssh web -- ${command}`)).trim();
const bootId = () => inGuest('cat /proc/sys/kernel/random/boot_id');
const memoryKib = async () => Number(/MemTotal: +(\d+)/.exec(await inGuest('cat /proc/meminfo'))?.[1]);
const rootKib = async () => Number((await inGuest('df -k /')).split(/\s+/).at(-5));
const sizes = async () => {
  const { vcpus, memoryMib, observedVcpus, observedMemoryMib } = await cloud.json('show web');
  return { vcpus, memoryMib, observedVcpus, observedMemoryMib };
};
const promised = async () => {
  const [host] = await cloud.json('hosts list');
  return { vcpus: host.allocatedVcpus, memoryMib: host.allocatedMemoryMib };
};

async function refused(command: string, because: RegExp): Promise<void> {
  const before = await cloud.json('show web');
  const { exit, stderr } = await cloud.cli(command.split(' '));
  assert.equal(exit, 4, stderr);
  assert.match(stderr, because);
  assert.match(stderr, /try: Add --restart/);
  assert.deepEqual(await cloud.json('show web'), before);
}

test('a guest grows, gives memory back, and is restarted for what it cannot have while it runs', async () => {
  await cloud.done('launch web --image starter --type tiny --max-vcpus 2 --max-memory 512MiB --wait=ssh');
  assert.deepEqual(await sizes(), { vcpus: 1, memoryMib: 256, observedVcpus: 1, observedMemoryMib: 256 });
  const before = { boot: await bootId(), memoryKib: await memoryKib(), rootKib: await rootKib() };

  await refused('resize web --vcpus 3', /started with room for 2 vCPU at most/);
  await refused('resize web --memory 1GiB', /started with room for 512 MiB at most/);

  await agentIsThere();
  const said = await cloud.done('resize web --vcpus 2 --memory 512MiB --disk 3GiB --wait');
  assert.match(said, /^instance web: running/);
  assert.equal(await inGuest('nproc'), '2');
  await until('the guest to use its memory', async () => (await memoryKib()) === before.memoryKib + 256 * 1024);
  assert.ok((await rootKib()) > before.rootKib + 1.8 * 1024 ** 2);
  assert.deepEqual(await promised(), { vcpus: 2, memoryMib: 512 });

  await refused('resize web --vcpus 1', /an emulated guest cannot lose vCPUs/);
  await cloud.done('resize web --memory 192MiB --wait');
  await until('the host to have its memory back', async () => (await promised()).memoryMib === 192);
  assert.deepEqual(await sizes(), { vcpus: 2, memoryMib: 192, observedVcpus: 2, observedMemoryMib: 192 });
  assert.equal(await bootId(), before.boot, 'nothing of this has interrupted it');

  await cloud.done('resize web --type small --restart --wait=ssh');
  assert.deepEqual(await sizes(), { vcpus: 1, memoryMib: 512, observedVcpus: 1, observedMemoryMib: 512 });
  assert.equal(await inGuest('nproc'), '1');
  assert.notEqual(await bootId(), before.boot);
  assert.deepEqual(await promised(), { vcpus: 1, memoryMib: 512 });
  const kinds = (await cloud.json('events')).map(({ type }: { type: string }) => type);
  assert.equal(kinds.filter((type: string) => type === 'instance.resized').length, 3);
  await cloud.done('delete web --yes --wait');
  assert.deepEqual(await promised(), { vcpus: 0, memoryMib: 0 });
});

/** It starts a little after SSH does. */
async function agentIsThere(): Promise<void> {
  const { domainName } = await cloud.json('show web');
  const ping = ['qemu-agent-command', domainName, '{"execute":"guest-ping"}'];
  await until('the agent of the guest', () =>
    output('virsh', '-c', 'qemu:///system', ...ping).then(
      () => true,
      () => false,
    ),
  );
}
