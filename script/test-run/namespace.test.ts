// What a run sees of the machine that it is on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const namespace = join(import.meta.dirname, '../namespace');

test('libvirt inside of a run knows nothing that is defined on the machine, and has its settings', (t) => {
  assert.ok(process.env.VIRGA_TEST_NAMESPACE, 'run it with script/test: it writes to /etc');
  const folder = mkdtempSync(join(tmpdir(), 'namespace-'));
  const definition = `/etc/libvirt/qemu/seen-${process.pid}.xml`;
  writeFileSync(definition, '<domain/>');
  t.after(() => {
    rmSync(definition);
    rmSync(folder, { recursive: true });
  });
  const list = 'find /etc/libvirt/qemu -name "*.xml"; ls /etc/libvirt/qemu.conf';
  assert.equal(execFileSync(namespace, [folder, 'sh', '-c', list], { encoding: 'utf8' }), '/etc/libvirt/qemu.conf\n');
});
