import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { addressCount, addressRange } from './address-pool.ts';
import { bridgeNameOf } from './network.ts';

test('the gateway and the ends of a network are not leased', () => {
  assert.deepEqual(addressRange('10.77.0.0/30'), {
    cidr: '10.77.0.0/30',
    gateway: '10.77.0.1',
    first: 0x0a4d0002,
    last: 0x0a4d0002,
  });
  assert.equal(addressCount(addressRange('10.77.0.0/30')), 1);
  assert.equal(addressCount(addressRange('10.77.0.0/24')), 253);
  assert.equal(addressCount(addressRange('10.77.0.0/16')), 65_533);
});

test('a network that guests cannot live in is refused with what to write instead', () => {
  for (const [cidr, hint] of [
    ['10.77.0.0', 'Write it like'],
    ['10.77.0/24', 'Write it like'],
    ['010.77.0.0/24', 'Write it like'],
    ['fd00::/64', 'Write it like'],
    ['10.77.0.0/99', 'Write it like'],
    ['10.77.0.0/31', 'from /16 to /30'],
    ['10.0.0.0/8', 'from /16 to /30'],
    ['10.77.0.5/24', 'Write 10.77.0.0/24'],
    ['8.8.8.0/24', '10.0.0.0/8'],
    ['127.0.0.0/24', '10.0.0.0/8'],
    ['224.0.0.0/24', '10.0.0.0/8'],
  ] as const) {
    assert.throws(
      () => addressRange(cidr),
      (error: { code: string; field: string; action: string }) => {
        assert.equal(error.code, 'InvalidArgument', cidr);
        assert.equal(error.field, '/cidr');
        assert.ok(error.action.includes(hint), `${cidr}: ${error.action}`);
        return true;
      },
    );
  }
});

test('a bridge name fits Linux', () => {
  assert.match(bridgeNameOf(newId('network')), /^vbr[0-9a-f]{12}$/);
});
