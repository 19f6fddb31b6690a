import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api } from '@virga/contract/rest/api';
import { bodyCheck, textCheck } from './validation.ts';

type Fault = { field?: string; detail: string; action: string };
function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    return error as Fault;
  }
  assert.fail('nothing was refused');
}
const launch = bodyCheck(api.launchInstance.body);
const good = { name: 'web-1', image: 'starter', type: 'small' };

test('each fault is told with its field, in a sentence', () => {
  const cases: [unknown, string | undefined, RegExp][] = [
    [{ ...good, colour: 'red' }, '/colour', /^The field colour is not known\.$/],
    [{ name: 'web-1' }, '/type', /^The field type is missing\.$/],
    [{ ...good, name: 'Web 1' }, '/name', /^The field name has a value that cannot be used\.$/],
    [{ ...good, name: 1 }, '/name', /must be a string/],
    [{ ...good, diskGib: 1.5 }, '/diskGib', /must be an integer/],
    [{ ...good, diskGib: 0 }, '/diskGib', /must be at least 1/],
    [{ ...good, firmware: 'efi' }, '/firmware', /must be one of bios, uefi/],
    [{ ...good, keyPairs: ['a', 'a'] }, '/keyPairs', /names something twice/],
    [{ ...good, keyPairs: ['a', '?'] }, '/keyPairs/1', /keyPairs\.1 has a value/],
    [{ ...good, image: '' }, '/image', /too short: at least 1 characters/],
    [{ ...good, image: 'a\0b' }, '/image', /has a NUL character/],
    ['text', '', /^The body must be an object\.$/],
    [null, '/name', /missing/],
    [[], '', /must be an object/],
  ];
  for (const [body, field, detail] of cases) {
    const fault = faultOf(() => launch(body));
    assert.deepEqual(
      [fault.field, detail.test(fault.detail)],
      [field, true],
      `${JSON.stringify(body)}: ${fault.detail}`,
    );
  }
  assert.match(faultOf(() => launch({ ...good, name: 'Web' })).action, /lower-case letters/);
});

test('an id that is none says what one looks like', () => {
  const fault = faultOf(() => textCheck(api.getInstance.params)({ id: 'web-1' }));
  assert.deepEqual([fault.field, fault.action], ['/id', 'Give an id such as i-0123456789abcdef0.']);
});

test('query text becomes numbers and truth values, with defaults, and nothing else is guessed', () => {
  const check = textCheck(api.listInstances.query);
  assert.deepEqual(check({ limit: '5', name: '7' }), { limit: 5, name: '7' });
  assert.deepEqual(check({}), { limit: 100 });
  for (const limit of ['', '5x', '1e2', '0', '1001', '5.0', ' 5', '99999999999999999999']) {
    assert.equal(faultOf(() => check({ limit })).field, '/limit', limit);
  }
  assert.equal(faultOf(() => check({ limit: ['1', '2'] })).field, '/limit');
  assert.deepEqual(check({ tag: 'env=test' }), { limit: 100, tag: ['env=test'] });
  assert.deepEqual(check({ tag: ['a', 'b'] }), { limit: 100, tag: ['a', 'b'] });
  assert.equal(faultOf(() => check({ tag: Array(11).fill('a') })).field, '/tag');
  assert.equal(faultOf(() => check({ stat: 'running' })).field, '/stat');
  assert.equal(faultOf(() => check({ constructor: '1' })).field, '/constructor');
});

test('a body that may be left out may be left out, and one that is not expected is refused', () => {
  assert.deepEqual(bodyCheck(api.stopInstance.body)(undefined), { timeoutSeconds: 60 });
  assert.equal(bodyCheck(undefined)({}), undefined);
  assert.match(faultOf(() => bodyCheck(undefined)({ force: true })).detail, /takes no body/);
});
