import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate } from './gate.ts';

test('who comes to a gate waits until it is open, and passes at once from then on', async () => {
  const gate = new Gate();
  const passed: number[] = [];
  const passing = gate.pass().then(() => passed.push(1));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(passed, []);
  gate.open();
  await passing;
  assert.equal(await gate.pass(), true);
});

test('a gate that is shut again holds only who comes after that', async () => {
  const gate = new Gate();
  const first = gate.pass();
  gate.shut();
  gate.open();
  assert.equal(await first, true, 'shutting what is shut forgets nobody');
  gate.shut();
  const second = gate.pass();
  gate.end();
  assert.equal(await second, false);
});
