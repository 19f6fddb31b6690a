import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unitText } from './systemd-unit.ts';

test('the command line of the unit means what it says, whatever is in the path of the checkout', () => {
  const [line] = unitText(['/opt/my cloud/node', '/opt/100%/$HOME/"x"', '--state', '/var/lib/virga']).match(
    /^ExecStart=.*$/m,
  )!;
  assert.equal(line, 'ExecStart="/opt/my cloud/node" "/opt/100%%/$$HOME/\\"x\\"" --state /var/lib/virga');
});

test('what the server finds in its environment stands in the unit', () => {
  assert.match(
    unitText(['/bin/true'], { ARENAS: '1', LANG: 'C' }),
    /^Environment=ARENAS=1\nEnvironment=LANG=C\nExecStart=/m,
  );
});

test('a server that stops takes its database along itself, and one that dies leaves it to the next', () => {
  assert.match(unitText(['/bin/true']), /^KillMode=process$/m);
  assert.match(unitText(['/bin/true']), /^Restart=on-failure$/m);
});
