import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '@virga/testing/until';
import pino from 'pino';
import { Hypervisor } from '../hypervisor.ts';
import { openStorage, type Storage } from '../storage.ts';
import { type AccelerationSetting, Accelerator } from './acceleration.ts';

const socketPath = process.env.VIRGA_TEST_LIBVIRT_SOCKET ?? '/run/libvirt/libvirt-sock';
let folder: string;
let storage: Storage;
let hypervisor: Hypervisor;
let kernelPath: string;
const said: string[] = [];
const log = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-acceleration.'));
  storage = await openStorage(join(folder, 'storage'));
  hypervisor = new Hypervisor({ socketPath });
  // Something that no machine boots: QEMU takes it for a kernel by its header, and it is empty.
  kernelPath = join(folder, 'vmlinuz');
  const kernel = Buffer.alloc(64 * 1024);
  kernel[0x1f1] = 4;
  kernel.write('HdrS', 0x202);
  kernel.writeUInt16LE(0x020f, 0x206);
  kernel[0x211] = 1;
  await writeFile(kernelPath, kernel);
});

after(async () => {
  await hypervisor.close();
  await rm(folder, { recursive: true });
});

const accelerator = (setting: AccelerationSetting, probe = {}) =>
  new Accelerator({ setting, probe, storage, hypervisor, log });

test('what is set is taken, and the reason says so', async () => {
  assert.deepEqual(await accelerator('tcg').acceleration(), { mode: 'tcg', reason: 'It is set to tcg.' });
  assert.equal((await accelerator('kvm').acceleration()).mode, 'kvm');
});

test('a KVM under which a kernel does not boot leads to emulation, loudly, and is tried once for each boot', async () => {
  const first = await accelerator('auto', { kernelPath }).acceleration();
  assert.equal(first.mode, 'tcg');
  assert.match(first.reason, /\/dev\/kvm|does not boot under KVM/);
  assert.match(said.join(''), /guests are emulated/);
  if (!first.reason.includes(kernelPath)) return; // no /dev/kvm on this machine: nothing to remember
  said.length = 0;
  assert.deepEqual(await accelerator('auto', { kernelPath }).acceleration(), first);
  assert.deepEqual(said, []);
});

test('a proof that is under way ends with the agent, and leaves no QEMU behind', async (t) => {
  const unseen = join(folder, 'vmlinuz-unseen');
  await copyFile(kernelPath, unseen);
  const closing = accelerator('auto', { kernelPath: unseen });
  const decision = closing.acceleration();
  const probes = () => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(unseen);
  await until('the kernel is being booted', () => probes() || undefined).catch(() => undefined);
  if (!probes()) {
    t.skip('KVM is not offered here: nothing to boot');
    return void (await decision);
  }
  closing.close();
  await assert.rejects(decision, { name: 'AbortError' });
  await until('QEMU has ended', () => !probes());
});

test('without a kernel to boot there is no proof; one that comes later is tried when asked again', async () => {
  const later = join(folder, 'later');
  const undecided = accelerator('auto', { kernelPath: later, bootFolder: join(folder, 'empty') });
  const first = await undecided.acceleration();
  assert.match(first.reason, existsSync('/dev/kvm') ? /no kernel in/ : /no \/dev\/kvm/);
  if (!existsSync('/dev/kvm')) return;
  await copyFile(kernelPath, later);
  assert.deepEqual(await undecided.acceleration(), first);
  assert.ok((await undecided.acceleration({ again: true })).reason.includes(later));
});

test('a memory that cannot be read is as none', async () => {
  const file = join(storage.path, 'acceleration.json');
  await writeFile(file, '{"key":');
  assert.equal((await accelerator('auto', { kernelPath }).acceleration()).mode, 'tcg');
});

test('a libvirt that does not answer is no reason for emulation', async () => {
  const elsewhere = new Hypervisor({ socketPath: join(folder, 'nowhere') });
  const absent = new Accelerator({
    setting: 'auto',
    probe: { kernelPath: `${kernelPath}-other` },
    storage,
    hypervisor: elsewhere,
    log,
  });
  await assert.rejects(absent.acceleration(), { name: 'HostUnavailable' });
  await elsewhere.close();
});
