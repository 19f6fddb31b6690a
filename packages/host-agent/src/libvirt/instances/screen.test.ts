import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayAddress } from './screen.ts';

const domain = (...graphics: string[]) => `<domain><devices>${graphics.join('')}</devices></domain>`;
const spice = "<graphics type='spice' port='5900'/>";

test('the address of the screen is where the running domain says that VNC is', () => {
  const socket = "<graphics type='vnc'><listen type='socket' socket='/var/lib/a.sock'/></graphics>";
  assert.deepEqual(displayAddress(domain(spice, socket)), { path: '/var/lib/a.sock' });
  const older = "<graphics type='vnc' socket='/var/lib/b.sock'/>";
  assert.deepEqual(displayAddress(domain(older)), { path: '/var/lib/b.sock' });
});

test('an adopted domain may serve VNC on a port, which is asked for on this host', () => {
  const listening = (address: string) =>
    domain(`<graphics type='vnc' port='5901'><listen type='address' address='${address}'/></graphics>`);
  assert.deepEqual(displayAddress(listening('0.0.0.0')), { host: '127.0.0.1', port: 5901 });
  assert.deepEqual(displayAddress(listening('::')), { host: '::1', port: 5901 });
  assert.deepEqual(displayAddress(listening('10.0.0.1')), { host: '10.0.0.1', port: 5901 });
});

test('a domain without VNC, or whose VNC has no place yet, has no address', () => {
  for (const graphics of ['', spice, "<graphics type='vnc' port='-1' autoport='yes'/>", "<graphics type='vnc'/>"]) {
    assert.equal(displayAddress(domain(graphics)), undefined);
  }
});
