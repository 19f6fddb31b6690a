// The screen of a guest: by VNC, with a real handshake, and as a picture.
import assert from 'node:assert/strict';
import { newId } from '@virga/contract/ids';
import { isPng } from '../picture.ts';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { stopped } from './contract-world.ts';
import { RfbClient } from './rfb-client.ts';

export function screenContract(test: ContractTest): void {
  test('the display speaks RFB without a password and shows the screen, and ends with the guest', async (world, t) => {
    const desired = await world.launched(t);
    const display = await world.agent.openDisplay(desired.id);
    t.after(() => display.destroy());
    display.on('error', () => undefined);
    const client = new RfbClient(display);
    const screen = await client.connect();
    assert.ok(screen.width > 0 && screen.height > 0 && screen.name.includes(desired.domainName), screen.name);
    const { width, height, pixels } = await client.picture(screen);
    assert.equal(pixels.length, (width * height * screen.bitsPerPixel) / 8);
    await world.harness.virsh.destroy(desired);
    await client.ended();
  });

  test('two look at one screen at the same time', async (world, t) => {
    const { id } = await world.launched(t);
    for (let viewer = 0; viewer < 2; viewer++) {
      const display = await world.agent.openDisplay(id);
      t.after(() => display.destroy());
      await new RfbClient(display).connect();
    }
  });

  test('a screenshot is a PNG', async (world, t) => {
    const { id } = await world.launched(t);
    const { mediaType, bytes } = await world.agent.screenshot(id);
    assert.equal(mediaType, 'image/png');
    assert.ok(isPng(bytes));
  });

  test('there is no screen of an instance that does not run, or is not there', async (world, t) => {
    const desired = stopped(world.instance(t));
    await world.agent.applyInstance(desired);
    await rejectsWith('Conflict', world.agent.openDisplay(desired.id));
    await rejectsWith('Conflict', world.agent.screenshot(desired.id));
    await rejectsWith('NotFound', world.agent.openDisplay(newId('instance')));
    await rejectsWith('NotFound', world.agent.screenshot(newId('instance')));
  });
}
