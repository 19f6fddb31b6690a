import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BackupId, newId } from '@virga/contract/ids';
import type { Retention } from '@virga/contract/rest/backups';
import { expendableBackups, type KeptBackup, keptBackups } from './retention.ts';

const dayMs = 86_400_000;
const startMs = Date.parse('2026-01-05T03:00:00Z');

/** Random, yet the same in each run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** @param back how often the clock is set back */
function randomBackups(random: () => number, back = 0): KeptBackup[] {
  const backups: KeptBackup[] = [];
  let atMs = startMs;
  for (let count = Math.floor(random() * 120); count > 0; count--) {
    atMs += (Math.floor(random() * 3 * dayMs) + 1) * (random() < back ? -5 : 1);
    const last = backups.at(-1);
    const parentId = last !== undefined && random() < 0.8 ? last.id : null;
    backups.push({ id: newId('backup'), takenAt: new Date(atMs), parentId });
  }
  return backups;
}

const randomRetention = (random: () => number): Retention => ({
  ...(random() < 0.7 && { last: Math.floor(random() * 10) }),
  ...(random() < 0.7 && { daily: Math.floor(random() * 10) }),
  ...(random() < 0.7 && { weekly: Math.floor(random() * 6) }),
  ...(random() < 0.7 && { monthly: Math.floor(random() * 6) }),
});

test('whatever the backups and the rule, nothing goes that is needed', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = randomOf(seed);
    const backups = randomBackups(random);
    const retention = randomRetention(random);
    const kept = keptBackups(backups, retention);
    const expendable = expendableBackups(backups, retention);
    assert.equal(kept.size + expendable.length, backups.length, `seed ${seed}: each is kept or goes`);
    for (const { id, parentId } of backups) {
      if (parentId !== null && kept.has(id)) assert.ok(kept.has(parentId), `seed ${seed}: what it rests on is kept`);
    }
    for (const { id } of backups.slice(-Math.max(1, retention.last ?? 0))) assert.ok(kept.has(id), `seed ${seed}`);
    // None goes before one that rests on it.
    const order = new Map(expendable.map((id, at) => [id, at]));
    for (const { id, parentId } of backups) {
      const [child, parent] = [order.get(id), parentId === null ? undefined : order.get(parentId)];
      if (child !== undefined && parent !== undefined) assert.ok(child < parent, `seed ${seed}`);
    }
    // Asked again of what is left, nothing more goes.
    const left = backups.filter(({ id }) => kept.has(id));
    assert.deepEqual(expendableBackups(left, retention), [], `seed ${seed}`);
  }
});

test('a clock that was set back changes nothing about what rests on what', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomOf(seed);
    const backups = randomBackups(random, 0.2);
    const retention = randomRetention(random);
    const expendable = expendableBackups(backups, retention);
    for (const { id, parentId } of backups) {
      if (parentId === null || !expendable.includes(parentId)) continue;
      const child = expendable.indexOf(id);
      assert.ok(child >= 0 && child < expendable.indexOf(parentId), `seed ${seed}`);
    }
  }
});

test('a rule that asks for more keeps at least as much', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomOf(seed);
    const backups = randomBackups(random);
    const retention = randomRetention(random);
    const more = { ...retention, daily: (retention.daily ?? 0) + 1, monthly: (retention.monthly ?? 0) + 2 };
    const kept = keptBackups(backups, more);
    for (const id of keptBackups(backups, retention)) assert.ok(kept.has(id), `seed ${seed}`);
  }
});

test('the youngest of each day, week and month is kept', () => {
  const everySixHours = Array.from({ length: 4 * 70 }, (_, at) => ({
    id: `bak-${String(at).padStart(17, '0')}` as BackupId,
    takenAt: new Date(startMs + at * (dayMs / 4)),
    parentId: null,
  }));
  const kept = [...keptBackups(everySixHours, { last: 2, daily: 3, weekly: 2, monthly: 2 })];
  const times = everySixHours.filter(({ id }) => kept.includes(id)).map(({ takenAt }) => takenAt.toISOString());
  assert.deepEqual(times, [
    '2026-02-28T21:00:00.000Z',
    '2026-03-08T21:00:00.000Z',
    '2026-03-13T21:00:00.000Z',
    '2026-03-14T21:00:00.000Z',
    '2026-03-15T15:00:00.000Z',
    '2026-03-15T21:00:00.000Z',
  ]);
});
