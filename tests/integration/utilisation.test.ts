// What real guests use, from the kernel and libvirt to the command line: one that computes all the time, one that waits.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { HostUsagePoint, InstanceUsagePoint } from '@virga/contract/rest/host-usage';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  await cloud.stopServer();
  const path = join(cloud.folders.state, 'settings.json');
  const settings = { ...JSON.parse(readFileSync(path, 'utf8')), usagePeriodSeconds: 10 };
  writeFileSync(path, JSON.stringify(settings));
  await cloud.startServer();
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

test('a guest that computes is seen to, one that waits is not, and nothing is said before enough was seen', async () => {
  await cloud.done('networks create default --cidr 10.206.0.0/24 --wait');
  for (const [name, spins] of [
    ['busy', true],
    ['calm', false],
  ] as const) {
    const file = join(cloud.folder, `${name}.raw`);
    writeFileSync(file, tinyGuestDisk({ answersAcpi: true, spins }));
    await cloud.done(`images register ${file} --name ${name} --format raw --wait`);
    await cloud.done(`launch ${name} --image ${name} --type tiny --no-key --wait`);
  }
  const pointsOf = async (name: string): Promise<InstanceUsagePoint[]> => (await cloud.json(`usage ${name}`)).points;
  const [busy, calm] = await until(
    'both have been sampled twice',
    async () => {
      const seen = await Promise.all([pointsOf('busy'), pointsOf('calm')]);
      return seen.every((points) => points.length >= 2) && seen.map((points) => points.at(-1)!);
    },
    { timeoutMs: 60_000, intervalMs: 1_000 },
  );
  assert.ok(busy!.cpusBusy > 2 * calm!.cpusBusy, `${busy!.cpusBusy} and ${calm!.cpusBusy}`);
  assert.ok(busy!.residentMib! > 0 && busy!.memoryMib === 256);
  assert.ok(busy!.cpusWaiting !== null && busy!.writtenBytesPerSecond !== null, JSON.stringify(busy));
  const [host] = (await cloud.json('hosts usage')) as { name: string; series: { points: HostUsagePoint[] } }[];
  const { cpusBusy, threads, memoryUsedMib, memoryMib } = host!.series.points.at(-1)!;
  assert.ok(cpusBusy > 0 && cpusBusy <= threads && memoryUsedMib > 0 && memoryUsedMib < memoryMib);

  const shown = await cloud.done('usage busy');
  assert.match(shown, /^processors +\d+(\.\d)? % .*[▁-█]$/m);
  assert.match(await cloud.done(`hosts usage ${host!.name}`), /^memory +\S+ [MG]iB .*[▁-█]$/m);
  assert.match(await cloud.done('hosts report'), /^Of 2 not enough has been seen yet: 24 h are needed\.$/m);
});
