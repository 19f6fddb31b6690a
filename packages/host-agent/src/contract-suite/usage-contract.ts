// What a host and its guests use: counters that grow with what they do.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import type { DomainUsage, HostUsage } from '@virga/contract/agent/host-usage';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { stopped } from './contract-world.ts';
import { eventually } from './eventually.ts';
import { tinyGuestDisk } from './tiny-guest.ts';

const enoughMs = 500;

export function usageContract(test: ContractTest): void {
  test('counts what a host and all its guests use: one that computes a lot, one that waits next to nothing', async (world, t) => {
    const { agent, harness } = world;
    const busyImage = world.image('busy.raw');
    await writeFile(busyImage.source.path, tinyGuestDisk({ answersAcpi: true, spins: true }), { mode: 0o644 });
    await agent.importImage(busyImage);
    world.discs.push(busyImage);
    const fresh = world.instance(t);
    const busy = await world.launched(t, { ...fresh, rootDisk: { ...fresh.rootDisk, imageId: busyImage.id } });
    harness.makeBusy?.(busy);
    const waiting = await world.launched(t);
    const first = await agent.hostUsage();
    for (const { uuid, memoryMib } of [busy, waiting]) {
      const seen = usageOf(first, uuid)!;
      assert.equal(seen.vcpus, 1);
      assert.equal(seen.memory.currentKib, memoryMib * 1024);
      assert.ok(seen.memory.residentKib! > 0);
      assert.ok(seen.disks!.readBytes > 0, 'it has read its boot sector');
    }
    const then = await eventually('the busy guest has used half a second', async () => {
      const now = await agent.hostUsage();
      return used(now, first, busy.uuid) > enoughMs ? now : undefined;
    });
    assert.ok(used(then, first, waiting.uuid) < used(then, first, busy.uuid) / 2, 'the one that waits used less');
    assert.equal(usageOf(then, busy.uuid)!.run, usageOf(first, busy.uuid)!.run);
    assert.equal(then.bootId, first.bootId);
    assert.ok(then.uptimeMs - first.uptimeMs >= enoughMs - 100, 'a vCPU is busy for no longer than time passes');
    const cpus = ({ cpus }: HostUsage) => cpus.reduce((sum, { busyMs }) => sum + busyMs, 0);
    assert.ok(cpus(then) - cpus(first) > enoughMs / 2, 'what guests use is used of the host');
    assert.ok(then.memory.availableKib > 0 && then.memory.availableKib <= then.memory.totalKib);
  });

  test('tells of guests that are on, and by another run after another start', async (world, t) => {
    const desired = await world.launched(t);
    const { run } = usageOf(await world.agent.hostUsage(), desired.uuid)!;
    const off = stopped(desired);
    await world.converge(off, 'stopped');
    assert.equal(usageOf(await world.agent.hostUsage(), desired.uuid), undefined);
    await world.agent.applyInstance({ ...off, generation: off.generation + 1, power: { state: 'running' } });
    assert.notEqual(usageOf(await world.agent.hostUsage(), desired.uuid)!.run, run);
    await world.harness.beginOutage();
    try {
      await rejectsWith('HostUnavailable', world.agent.hostUsage());
    } finally {
      await world.harness.endOutage();
    }
  });
}

const usageOf = ({ domains }: HostUsage, uuid: string): DomainUsage | undefined =>
  domains.find((domain) => domain.uuid === uuid);

const used = (now: HostUsage, before: HostUsage, uuid: string): number =>
  usageOf(now, uuid)!.cpuTimeMs - usageOf(before, uuid)!.cpuTimeMs;
