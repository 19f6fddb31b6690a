// What follows from what hosts show of an instance that may have been moved. Hosts do not exist here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { type Sightings, whereabouts } from './whereabouts.ts';

const [beta, gamma] = ['beta', 'gamma'].map((name) => ({ id: newId('host'), name }));
const row = {
  name: 'web',
  host_name: 'alpha',
  desired: 'running',
  power_generation: 1,
  converged_generation: 1,
} as const;
const running = { state: 'running', reason: 'booted' } as const;
const arrived = { state: 'running', reason: 'migrated' } as const;
const off = { state: 'stopped', reason: 'unknown' } as const;
const left = { state: 'stopped', reason: 'migrated' } as const;
const absent = { state: 'absent', reason: 'undefined' } as const;
const gone = { state: 'absent', reason: 'migrated' } as const;
const coming = { ...running, moving: true } as const;

type Seen = Sightings['here'];
const decide = (here: Seen, there: Seen[] = [], silent: Sightings['silent'] = [], changes: object = {}) => {
  const seen = there.map((one, index) => ({ host: [beta!, gamma!][index]!, seen: one! }));
  const found = whereabouts({ ...row, ...changes }, { here, there: seen, silent });
  if (found.at === 'other') return found.host.name;
  return found.at === 'held' ? (found.error?.code ?? 'waits') : 'home';
};

test('while it is on its way nothing is done, whatever its own host shows', () => {
  for (const here of [running, coming, left, gone, undefined]) assert.equal(decide(here, [coming]), 'waits');
  // The last moment, in which both say that it is there.
  assert.equal(decide(coming, [arrived]), 'waits');
});

test('it is of the host on which it runs once its own has it no longer', () => {
  for (const here of [left, gone, absent, off]) assert.equal(decide(here, [arrived]), 'beta');
  for (const here of [left, gone, absent]) assert.equal(decide(here, [off]), 'beta');
});

test('a definition that was left on another host changes nothing', () => {
  for (const here of [running, off]) assert.equal(decide(here, [left]), 'home');
});

test('of a host that is away only what can never run there again is taken', () => {
  assert.equal(decide(undefined, [arrived]), 'beta');
  assert.equal(decide(undefined, [running]), 'waits');
  assert.equal(decide(undefined, [arrived, running]), 'waits');
  assert.equal(decide(undefined), 'home');
});

test('what runs twice is told of', () => {
  assert.equal(decide(running, [running]), 'Conflict');
  assert.equal(decide(absent, [running, arrived]), 'Conflict');
});

test('what has vanished is made again only when every host says that it does not have it', () => {
  assert.equal(decide(absent), 'home');
  assert.equal(decide(absent, [], [gamma!]), 'HostUnavailable');
  assert.equal(decide(left, [], [gamma!]), 'HostUnavailable');
  // After a restart of its host every guest is off, and waits for nobody.
  assert.equal(decide(off, [], [gamma!]), 'home');
});

test('what has gone to a host of nobody here waits until somebody asks for it', () => {
  for (const here of [left, gone]) {
    assert.equal(decide(here), 'Conflict');
    assert.equal(decide(here, [], [], { power_generation: 2 }), 'home');
    assert.equal(decide(here, [], [], { desired: 'deleted' }), 'home');
  }
});
