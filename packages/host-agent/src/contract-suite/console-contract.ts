// What a guest prints, talking to it, and its domain.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { stopped } from './contract-world.ts';
import { eventually } from './eventually.ts';

export function consoleContract(test: ContractTest): void {
  test('the console log is the end of what the guest printed, and says when there was more', async (world, t) => {
    const desired = await world.launched(t);
    const whole = await world.agent.consoleLog(desired.id, 64 * 1024);
    assert.equal(whole.truncated, false);
    const tail = await world.agent.consoleLog(desired.id, 5);
    assert.equal(tail.truncated, true);
    assert.deepEqual(tail.bytes, whole.bytes.subarray(-5));
  });

  test('the console log of a guest that never printed is empty', async (world, t) => {
    const desired = stopped(world.instance(t));
    await world.agent.applyInstance(desired);
    assert.deepEqual(await world.agent.consoleLog(desired.id, 100), { bytes: Buffer.alloc(0), truncated: false });
  });

  test('the serial console carries bytes both ways, and ends with the guest', async (world, t) => {
    const desired = await world.launched(t);
    const console = await world.agent.openConsole(desired.id);
    t.after(() => console.destroy());
    let heard = '';
    console.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    console.on('error', () => undefined);
    console.write('echo this');
    await eventually('the guest answers', () => (heard.includes('echo this') ? true : undefined));
    const ended = once(console, 'close');
    await world.harness.virsh.destroy(desired);
    await ended;
  });

  test('there is no console of an instance that does not run', async (world, t) => {
    const desired = stopped(world.instance(t));
    await world.agent.applyInstance(desired);
    await rejectsWith('Conflict', world.agent.openConsole(desired.id));
  });

  test('tells the domain XML, and NotFound when there is no domain', async (world, t) => {
    const desired = await world.launched(t);
    const xml = await world.agent.domainXml(desired.id);
    assert.ok(xml.includes(`<uuid>${desired.uuid}</uuid>`) && xml.includes(desired.nics[0]!.mac), xml);
    await rejectsWith('NotFound', world.agent.domainXml(newId('instance')));
  });
}
