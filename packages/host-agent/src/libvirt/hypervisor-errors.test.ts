import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { type ErrorCode, VirgaError } from '@virga/contract/errors';
import { CallTimeout, ConnectFailed, ConnectionLost, LibvirtError, ProtocolError } from '@virga/libvirt/errors';
import { hypervisorError } from './hypervisor-errors.ts';

const refusal = (code: number, int1 = 0) =>
  new LibvirtError('domainCreate', {
    code,
    domain: 10,
    message: 'internal error: it went wrong\nqemu: no room',
    level: 2,
    object: null,
    string1: null,
    string2: null,
    string3: null,
    int1,
    int2: 0,
    network: null,
  });

const cases: [string, Error, ErrorCode][] = [
  ['a daemon that is not there', new ConnectFailed('SOCKET_MISSING', 'there is no socket'), 'HostUnavailable'],
  ['a socket one may not use', new ConnectFailed('PERMISSION_DENIED', 'not allowed'), 'HostUnavailable'],
  ['a lost connection', new ConnectionLost('gone', true), 'HostUnavailable'],
  ['an answer that does not come', new CallTimeout('domainCreate', 1000, true), 'HostUnavailable'],
  ['a peer that is no libvirt', new ProtocolError('what is this'), 'HostUnavailable'],
  ['a domain that is not there', refusal(42), 'NotFound'],
  ['a network that is not there', refusal(43), 'NotFound'],
  ['a wrong state', refusal(55), 'Conflict'],
  ['a full disk', refusal(38, constants.errno.ENOSPC), 'StorageFull'],
  ['a failed system call', refusal(38, constants.errno.EINVAL), 'HypervisorRefused'],
  ['a busy domain', refusal(68), 'HostUnavailable'],
  ['a refusal of QEMU', refusal(1), 'HypervisorRefused'],
  ['a number of a newer libvirt', refusal(9999), 'HypervisorRefused'],
];

for (const [name, error, code] of cases) {
  test(`${name} is told as ${code}, in one sentence with what to do`, () => {
    const told = hypervisorError(error, 'start web-1');
    assert.ok(told instanceof VirgaError);
    assert.equal(told.code, code);
    assert.equal(told.cause, error);
    assert.match(told.detail, /^[^\n]+[.!?]$/);
    assert.match(told.action, /^[A-Z].+/);
  });
}

test('what is none of libvirt’s passes through as it is', () => {
  const ours = new VirgaError('Conflict', { detail: 'No.', action: 'Nothing.' });
  const bug = new TypeError('a bug');
  assert.equal(hypervisorError(ours, 'x'), ours);
  assert.equal(hypervisorError(bug, 'x'), bug);
});
