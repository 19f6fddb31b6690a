// The real libvirtd that tests talk to: the one whose socket VIRGA_TEST_LIBVIRT_SOCKET names. Owns names that no other
// test uses. Tests fail, and are never skipped, when no daemon answers.
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, type ConnectOptions, connect } from '../connection/connect.ts';

export const testSocketPath = process.env.VIRGA_TEST_LIBVIRT_SOCKET ?? '/run/libvirt/libvirt-sock';

/** Connects to the daemon under test. */
export function connectForTest(uri: string, options: ConnectOptions = {}): Promise<Connection> {
  return connect({ transport: { kind: 'unix', path: testSocketPath }, uri, ...options });
}

/** A name for an object of one test; at most 15 characters, so that it also names a bridge. */
export const uniqueName = (): string => `vt${randomBytes(5).toString('hex')}`;

/** A folder for disks, removed at the end. QEMU runs as a user of its own, which must be able to reach what lies in it. */
export async function storageFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'virga-libvirt-'));
  await chmod(path, 0o711);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** A machine that needs no operating system: its firmware writes to the serial console and then waits. */
export function firmwareDomainXml(name: string, extraDevices = ''): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu placement='static' current='1'>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <bios useserial='yes'/>
    <bootmenu enable='yes' timeout='30000'/>
  </os>
  <on_reboot>restart</on_reboot>
  <devices>
    <serial type='pty'><target port='0'/></serial>
    <video><model type='vga'/></video>
    <memballoon model='virtio'/>
    ${extraDevices}
  </devices>
</domain>`;
}

/** Something that must happen: `done` fails after `timeoutMs`. */
export function waitFor<T>(what: string, timeoutMs = 20_000): { done: Promise<T>; resolve: (value: T) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => reject(new Error(`${what} did not come within ${timeoutMs} ms`)), timeoutMs);
  const done = promise.finally(() => clearTimeout(timer));
  // A test that failed before it came to wait must not fail a second time.
  done.catch(() => undefined);
  timer.unref();
  return { done, resolve };
}
