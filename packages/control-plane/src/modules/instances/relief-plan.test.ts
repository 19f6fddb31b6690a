import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lender, marginKib, planRelief } from './relief-plan.ts';

const mib = 1024;
const floorKib = 512 * mib;

const lender = (changes: Partial<Lender> = {}): Lender => ({
  id: 'i-00000000000000001',
  promisedKib: 1024 * mib,
  currentKib: 1024 * mib,
  usableKib: 800 * mib,
  hasBalloon: true,
  hugePagesKib: 0,
  leastKib: 0,
  ...changes,
});
const other = 'i-00000000000000002';
const plan = (availableMib: number, ...lenders: Lender[]) =>
  planRelief({ availableKib: availableMib * mib, floorKib }, lenders);

test('a host above its floor asks nobody, and one far above it has nothing to give back', () => {
  assert.deepEqual(plan(512, lender()), []);
  assert.deepEqual(plan(4096, lender()), []);
});

test('below the floor the idlest guest lends what is missing, and a margin', () => {
  const busy = lender({ id: other, usableKib: 100 * mib });
  const [loan, ...others] = plan(412, busy, lender());
  assert.deepEqual(others, []);
  assert.deepEqual(loan, { id: lender().id, memoryKib: 1024 * mib - 100 * mib - marginKib(floorKib) });
});

test('no guest is left with less than half of what it was promised, nor than its image needs', () => {
  assert.deepEqual(plan(0, lender({ usableKib: 1000 * mib })), [{ id: lender().id, memoryKib: 512 * mib }]);
  const needy = lender({ usableKib: 1000 * mib, leastKib: 900 * mib });
  assert.deepEqual(plan(0, needy), [{ id: needy.id, memoryKib: 900 * mib }]);
});

test('a guest keeps a part of what it could use just now', () => {
  assert.deepEqual(plan(0, lender({ usableKib: 400 * mib })), [{ id: lender().id, memoryKib: 724 * mib }]);
});

test('what does not tell, has no balloon, is on huge pages or has nothing idle lends nothing', () => {
  for (const changes of [
    { usableKib: null },
    { hasBalloon: false },
    { hugePagesKib: 1024 * mib },
    { usableKib: 10 * mib },
    { currentKib: 512 * mib },
  ]) {
    assert.deepEqual(plan(0, lender(changes)), [], JSON.stringify(changes));
  }
});

test('with room to spare, who lends the largest part gets it back first, and never more than it was promised', () => {
  const half = lender({ currentKib: 512 * mib });
  const little = lender({ id: other, currentKib: 960 * mib });
  assert.deepEqual(plan(512 + 128 + 100, half, little), [{ id: half.id, memoryKib: 612 * mib }]);
  assert.deepEqual(plan(8192, half, little), [
    { id: half.id, memoryKib: 1024 * mib },
    { id: other, memoryKib: 1024 * mib },
  ]);
});

test('between the floor and the room to spare nothing moves, so that memory does not go to and fro', () => {
  const lending = lender({ currentKib: 900 * mib });
  for (const availableMib of [512, 576, 640, 650]) assert.deepEqual(plan(availableMib, lending), [], `${availableMib}`);
});

test('what was asked for brings the host above its floor, and is not given back at once', () => {
  const [loan] = plan(412, lender());
  const gained = lender().currentKib - loan!.memoryKib;
  const after = { availableKib: 412 * mib + gained, floorKib };
  assert.ok(after.availableKib >= floorKib);
  assert.deepEqual(planRelief(after, [lender({ currentKib: loan!.memoryKib })]), []);
});
