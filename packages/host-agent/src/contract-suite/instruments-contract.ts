// What is measured of a guest, and its keyboard.
import assert from 'node:assert/strict';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { stopped } from './contract-world.ts';
import { eventually } from './eventually.ts';

export function instrumentsContract(test: ContractTest): void {
  test('measures processor, memory, disks and cards of a running guest', async (world, t) => {
    const desired = await world.launched(t);
    const first = await world.agent.statistics(desired.id);
    assert.equal(first.vcpus, 1);
    assert.equal(first.memory.currentKib, desired.memoryMib * 1024);
    const disk = first.disks.find(({ target }) => target === 'vda');
    assert.ok(disk !== undefined && disk.readBytes > 0, 'it has read its boot sector');
    assert.equal(disk.capacityBytes, desired.rootDisk.sizeBytes);
    assert.equal(first.networkInterfaces.length, 1);
    await eventually('it has used some processor', async () => {
      const next = await world.agent.statistics(desired.id);
      return next.cpuTimeNs > first.cpuTimeNs && next.at > first.at ? next : undefined;
    });
  });

  test('presses keys and interrupts a running guest, and no other', async (world, t) => {
    const running = await world.launched(t);
    await world.agent.sendKeys(running.id, [[29, 56, 111], [30]]);
    await world.agent.injectNmi(running.id);
    const off = stopped(world.instance(t));
    await world.agent.applyInstance(off);
    for (const [id, code] of [
      [off.id, 'Conflict'],
      [newId('instance'), 'NotFound'],
    ] as const) {
      await rejectsWith(code, world.agent.sendKeys(id, [[30]]));
      await rejectsWith(code, world.agent.injectNmi(id));
      await rejectsWith(code, world.agent.statistics(id));
    }
  });
}
