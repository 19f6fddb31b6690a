import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  expiryOf,
  expiryWarningMs,
  launchAttributesOf,
  mergeTags,
  neverExpires,
  readDescription,
} from './instance-attributes.ts';

const now = new Date('2030-01-01T12:00:00.000Z');
const later = '2030-01-01T20:00:00.000Z';
const refused = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return (error as { field?: string }).field;
  }
  assert.fail('nothing was refused');
};

test('tags are set, changed and taken away one by one, and are kept in the order of their keys', () => {
  const before = { role: 'web', env: 'test' };
  assert.deepEqual(Object.entries(mergeTags(before, { env: 'prod', role: null, a: '' })), [
    ['a', ''],
    ['env', 'prod'],
  ]);
  assert.deepEqual(mergeTags(before, { none: null }), before);
  assert.deepEqual(mergeTags({}, { __proto__x: 'x', constructor: 'y' }), { __proto__x: 'x', constructor: 'y' });
});

test('a tag that cannot be is refused, and so is one too many', () => {
  const asked = ['', 'a=b', 'x'.repeat(129), '\ud800'];
  for (const key of asked)
    assert.equal(
      refused(() => mergeTags({}, { [key]: 'v' })),
      '/tags',
      JSON.stringify(key),
    );
  assert.equal(
    refused(() => mergeTags({}, { key: '\udc00' })),
    '/tags',
  );
  const fifty = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, 'v']));
  assert.deepEqual(mergeTags(fifty, { k0: 'other' }).k0, 'other');
  assert.equal(
    refused(() => mergeTags(fifty, { another: 'v' })),
    '/tags',
  );
  assert.equal(Object.keys(mergeTags(fifty, { another: 'v', k1: null })).length, 50);
});

test('a description is text that a domain can hold', () => {
  assert.equal(readDescription('one\n\ttwo 🦊'), 'one\n\ttwo 🦊');
  for (const text of ['\u0001', '\u001b[0m', '\ud800', '\uffff'])
    assert.equal(
      refused(() => readDescription(text)),
      '/description',
    );
});

test('an expiry warns ahead, stops unless it is to delete, and is to come', () => {
  const at = new Date(later);
  const dueAt = new Date(at.getTime() - expiryWarningMs);
  const stops = { expires_at: at, expiry_action: 'stop', expiry_due_at: dueAt } as const;
  assert.deepEqual(expiryOf({ expiresAt: later }, neverExpires, now), stops);
  assert.equal(expiryOf({}, stops, now), undefined);
  assert.deepEqual(expiryOf({ expiresAt: null }, stops, now), neverExpires);
  assert.equal(
    refused(() => expiryOf({ expiresAt: now.toISOString() }, neverExpires, now)),
    '/expiresAt',
  );
  assert.equal(
    refused(() => expiryOf({ expiresAt: '2030-06-30T23:59:60Z' }, neverExpires, now)),
    '/expiresAt',
  );
  assert.equal(
    refused(() => expiryOf({ expiryAction: 'stop' }, neverExpires, now)),
    '/expiryAction',
  );
  assert.equal(
    refused(() => expiryOf({ expiryAction: 'stop', expiresAt: null }, stops, now)),
    '/expiryAction',
  );
});

test('what happens at the end of a lease can be changed without being told of it anew', () => {
  const warned = { expires_at: new Date(later), expiry_action: 'stop', expiry_due_at: new Date(later) } as const;
  assert.deepEqual(expiryOf({ expiryAction: 'delete' }, warned, now), { ...warned, expiry_action: 'delete' });
  const longer = expiryOf({ expiresAt: '2030-01-02T00:00:00.000Z' }, { ...warned, expiry_action: 'delete' }, now);
  assert.deepEqual(longer, {
    expires_at: new Date('2030-01-02T00:00:00.000Z'),
    expiry_action: 'delete',
    expiry_due_at: new Date('2030-01-01T23:50:00.000Z'),
  });
});

test('a launch has the policies that it names, and may not both be protected and delete itself', () => {
  const body = { name: 'web', image: 'disk', type: 'tiny' };
  assert.deepEqual(launchAttributesOf(body, now), {
    description: '',
    tags: '{}',
    delete_protection: false,
    autostart: 'restore',
    crash_policy: 'restart',
    no_merge: false,
    ...neverExpires,
  });
  const both = { ...body, deleteProtection: true, expiresAt: later, expiryAction: 'delete' as const };
  assert.equal(
    refused(() => launchAttributesOf(both, now)),
    '/expiryAction',
  );
  assert.equal(launchAttributesOf({ ...both, expiryAction: 'stop' }, now).expiry_action, 'stop');
});
