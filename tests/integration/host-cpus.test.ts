// Host CPUs as a person gives them out with the command line, on the real host, checked past every part of ours: with taskset
// and virsh.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { formatCpuList, parseCpuList } from '@virga/contract/agent/cpu-list';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const image = join(cloud.folder, 'guest.raw');
  writeFileSync(image, tinyGuestDisk({ answersAcpi: true }));
  await Promise.all([
    cloud.done(`images register ${image} --name tiny --format raw --wait`),
    cloud.done('networks create default --cidr 10.203.0.0/24 --wait'),
    cloud.done('types create own --vcpus 1 --memory 256 --disk 1 --cpu-policy dedicated'),
  ]);
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const domainOf = async (name: string): Promise<string> => (await cloud.json(`show ${name}`)).domainName;

/** Where the threads of a guest may run, as taskset has it: of its vCPU, and of all others. */
async function affinityOf(name: string): Promise<{ vcpu: string; others: string[] }> {
  const pid = readFileSync(`/run/libvirt/qemu/${await domainOf(name)}.pid`, 'utf8').trim();
  const found = { vcpu: '', others: new Set<string>() };
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const said = (await output('taskset', '-pc', tid)).trim().split(': ').at(-1)!;
    const list = formatCpuList(parseCpuList(said));
    if (readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').startsWith('CPU ')) found.vcpu = list;
    else found.others.add(list);
  }
  return { vcpu: found.vcpu, others: [...found.others] };
}

/** As virsh shows it. */
const pinnedOf = async (domain: string): Promise<string> =>
  /^\s*0\s+(\S+)/m.exec(await output('virsh', 'vcpupin', domain))?.[1] ?? '';
const pinnedTo = async (name: string): Promise<string> => pinnedOf(await domainOf(name));

const all = formatCpuList(Array.from({ length: availableParallelism() }, (_, cpu) => cpu));

test('an instance gets a CPU for itself, the others leave it, and it is theirs again, with all guests running on', async () => {
  assert.ok(availableParallelism() >= 2, 'this needs two CPUs');
  await cloud.done('launch web --image tiny --type tiny --wait');
  await cloud.done('launch own --image tiny --type own --wait');
  const own = await cloud.json('show own');
  const [mine] = own.cpu.hostCpus as number[];
  const rest = formatCpuList(
    Array.from({ length: availableParallelism() }, (_, cpu) => cpu).filter((cpu) => cpu !== mine),
  );
  const isApart = async () => {
    const [web, dedicated] = [await affinityOf('web'), await affinityOf('own')];
    assert.deepEqual([dedicated.vcpu, dedicated.others], [String(mine), [rest]]);
    assert.deepEqual([web.vcpu, web.others], [rest, [rest]]);
    return true;
  };
  await until('the other guest has left it', () => isApart().catch(() => false), { timeoutMs: 60_000 });
  assert.equal(await pinnedTo('own'), String(mine));
  assert.equal(await pinnedTo('web'), rest);
  const drawn = await cloud.done('hosts cpus --sample 50');
  assert.match(drawn, new RegExp(`^${mine} .* own:0 .*own:0\\*`, 'm'));

  const refused = await cloud.cli('pin web --policy dedicated'.split(' '));
  assert.equal(refused.exit, availableParallelism() === 2 ? 7 : 0, refused.stderr);
  const kept = await cloud.cli(`hosts reserve-cpus ${own.hostName} ${mine}`.split(' '));
  assert.deepEqual([kept.exit, /Instance own has CPU/.test(kept.stderr)], [4, true], kept.stderr);

  // Whatever a server knew is in the database and on the host.
  const web = await domainOf('web');
  await cloud.stopServer('SIGKILL');
  // What somebody does meanwhile is found when it looks, as what is done while it runs is within a minute.
  await output('virsh', 'vcpupin', own.domainName, '0', rest, '--live');
  await output('virsh', 'emulatorpin', web, String(mine), '--live');
  assert.deepEqual([await pinnedOf(own.domainName), await pinnedOf(web)], [rest, rest]);
  await cloud.startServer();
  await until('all are where they belong', () => isApart().catch(() => false), { timeoutMs: 60_000 });
  await until('it is told', async () => {
    const told = await cloud.done('events --limit 50');
    return /own runs was changed beside Virga/.test(told) && /web runs was changed beside Virga/.test(told);
  });

  const before = readFileSync(`/run/libvirt/qemu/${own.domainName}.pid`, 'utf8');
  await cloud.done('pin own --policy shared --shares 200 --cap 40 --wait');
  const isAnywhere = async () => {
    const anywhere = { vcpu: all, others: [all] };
    assert.deepEqual([await affinityOf('web'), await affinityOf('own')], [anywhere, anywhere]);
    return true;
  };
  await until('both are anywhere', () => isAnywhere().catch(() => false), { timeoutMs: 60_000 }).catch(isAnywhere);
  const scheduled = await output('virsh', 'schedinfo', own.domainName);
  assert.match(scheduled, /vcpu_quota *: 40000/);
  assert.equal(readFileSync(`/run/libvirt/qemu/${own.domainName}.pid`, 'utf8'), before, 'it was not restarted');
  await cloud.done(`pin own --cpus ${mine} --wait`);
  assert.equal(await pinnedTo('own'), String(mine));
  assert.match(await cloud.done('drift own'), /nothing|no change|none/i);
});
