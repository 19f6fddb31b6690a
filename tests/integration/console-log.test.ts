// What a guest prints on its serial console is kept: over restarts of the guest and of libvirtd, and never more than so much,
// whoever writes it. With a libvirtd and a virtlogd of its own, whose settings it changes.
import assert from 'node:assert/strict';
import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import { greeting, tinyGuestDisk, tinyGuestDiskBytes } from '@virga/host-agent/contract-suite/tiny-guest';
import { consoleLogLimitBytes, limitConsoleLogsNow } from '@virga/host-agent/libvirt/instances/console-log-limit';
import { openStorage } from '@virga/host-agent/libvirt/storage';
import { openTestHost, type TestHost } from '@virga/host-agent/libvirt/testing/test-host';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { silentLog } from '@virga/testing/silent-log';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';

/** Instead of 2 MiB. */
const rotateBytes = 32 * 1024;
const backups = 3;

const talkerImageId = newId('image');
const countedLine = '0000\n';
let hypervisor: Hypervisor;
let host: TestHost;
let desired: DesiredInstance;

before(async () => {
  await writeFile('/etc/libvirt/virtlogd.conf', `max_size = ${rotateBytes}\nmax_backups = ${backups}\n`);
  hypervisor = await startHypervisor();
  host = await openTestHost(203, { socketPath: hypervisor.socketPath });
  const imageId = newId('image');
  const { cloudId, agent } = host;
  const disks = [
    { id: imageId, disk: tinyGuestDisk({ answersAcpi: true }) },
    { id: talkerImageId, disk: talkerDisk() },
  ];
  for (const { id, disk } of disks) {
    const path = join(host.storagePath, `${id}.raw`);
    await writeFile(path, disk, { mode: 0o644 });
    await agent.importImage({ id, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
  }
  const network = host.network();
  await agent.applyNetwork(network);
  const rootDisk = { id: newId('volume'), imageId, sizeBytes: tinyGuestDiskBytes };
  desired = host.instance(network, imageId, { rootDisk });
  await agent.applyInstance(desired);
  await boots(1);
});

after(async () => {
  await host?.close();
  await hypervisor?.close();
});

const folderOf = ({ id }: DesiredInstance) => join(host.storagePath, 'instances', id);
const whole = async () => (await host.agent.consoleLog(desired.id, 4 * 1024 ** 2)).bytes.toString('latin1');
const boots = (times: number) =>
  until(`it boots for the ${times}. time`, async () => (await whole()).split(greeting).length - 1 === times, {
    timeoutMs: 30_000,
  });

/** The guest prints what is typed. */
async function prints(text: string): Promise<void> {
  const console = await host.agent.openConsole(desired.id);
  let heard = '';
  console.on('data', (chunk: Buffer) => {
    heard = (heard + chunk.toString('latin1')).slice(-text.length);
  });
  console.on('error', () => undefined);
  console.write(text);
  await until('it is printed', () => heard.endsWith(text.slice(-64)), { timeoutMs: 120_000 });
  console.destroy();
}

/** Of a libvirtd that is not yet done with finding its guests again, virsh is told that the guest it ended was not running. */
async function destroy({ domainName }: DesiredInstance): Promise<void> {
  const virsh = (verb: string) => output('virsh', '-c', 'qemu:///system', verb, domainName);
  await virsh('destroy').catch(async (error) => {
    if ((await virsh('domstate')).trim() !== 'shut off') throw error;
  });
}

async function restartGuest(): Promise<void> {
  await destroy(desired);
  await host.agent.applyInstance(desired);
}

test('the log of earlier boots stays when the guest is started anew', async () => {
  await prints('before the restart\r\n');
  await restartGuest();
  await boots(2);
  assert.match(await whole(), /before the restart/);
});

test('what is printed while libvirtd is dead is kept, and so is what comes after', async () => {
  await prints('before libvirtd was killed\r\n');
  await hypervisor.kill();
  await hypervisor.start();
  await until('the agent is back', () =>
    host.agent.domainXml(desired.id).then(
      () => true,
      () => false,
    ),
  );
  await prints('after libvirtd was killed\r\n');
  assert.match(await whole(), /before libvirtd was killed.*after libvirtd was killed/s);
});

test('of a guest that prints without end only the last part is kept, in one piece', async () => {
  const talker = host.instance(host.network(), talkerImageId, {
    rootDisk: { id: newId('volume'), imageId: talkerImageId, sizeBytes: tinyGuestDiskBytes },
    nics: [],
  });
  await host.agent.applyInstance(talker);
  const logs = async () => (await readdir(folderOf(talker))).filter((name) => name.startsWith('console.log'));
  await until('it has printed more than is kept', async () => (await logs()).includes(`console.log.${backups - 1}`), {
    timeoutMs: 60_000,
  });
  await destroy(talker);
  assert.equal((await logs()).length, backups + 1);
  let sizeBytes = 0;
  for (const name of await logs()) sizeBytes += (await stat(join(folderOf(talker), name))).size;
  assert.ok(sizeBytes <= rotateBytes * (backups + 1), `${sizeBytes} bytes`);
  const { bytes } = await host.agent.consoleLog(talker.id, 4 * 1024 ** 2);
  assert.equal(bytes.length, sizeBytes);
  const numbers = [...bytes.toString('latin1').matchAll(/([0-9A-F]{4})\n/g)].map((match) => Number(`0x${match[1]}`));
  assert.ok(numbers.length > (rotateBytes * (backups - 1)) / countedLine.length, `${numbers.length} lines are kept`);
  for (const [index, number] of numbers.entries()) assert.equal(number, (numbers[0]! + index) % 0x10000);
});

test('where QEMU writes the log itself, it is cut while the guest goes on printing', async () => {
  await hypervisor.stop();
  await appendFile('/etc/libvirt/qemu.conf', '\nstdio_handler = "file"\n');
  await hypervisor.start();
  await until('the agent is back', () =>
    host.agent.domainXml(desired.id).then(
      () => true,
      () => false,
    ),
  );
  await restartGuest();
  await prints('the guest writes by itself\r\n');
  const path = join(folderOf(desired), 'console.log');
  // As if the guest had printed that much.
  await appendFile(path, Buffer.alloc(consoleLogLimitBytes + 1, '.'));
  await limitConsoleLogsNow({ storage: await openStorage(host.storagePath), log: silentLog });
  await prints('and goes on\r\n');
  const kept = await readFile(path, 'latin1');
  assert.match(kept, /^and goes on\r\n$/);
  assert.match(await whole(), /\.{1000}and goes on\r\n$/);
});

/** A boot sector that counts for ever, a line of four hexadecimal digits each time. */
function talkerDisk(): Buffer {
  const disk = Buffer.alloc(tinyGuestDiskBytes);
  const code = `
    31c0 8ed8 8ed0 bc007c   ;        xor ax,ax / mov ds,ax / mov ss,ax / mov sp,0x7c00
    31db                    ;        xor bx,bx
    b90400                  ; next:  mov cx,4
    c1c304 88d8 240f        ; digit: rol bx,4 / mov al,bl / and al,15
    0490 27 1440 27         ;        add al,0x90 / daa / adc al,0x40 / daa
    e80a00 e2ee             ;        call put / loop digit
    b00a e80300 43 ebe3     ;        mov al,10 / call put / inc bx / jmp next
    88c4 bafd03             ; put:   mov ah,al / mov dx,0x3fd
    ec a820 74fb            ; wait:  in al,dx / test al,0x20 / jz wait
    88e0 baf803 ee c3       ;        mov al,ah / mov dx,0x3f8 / out dx,al / ret`;
  const lines = code.split('\n').map((line) => line.split(';')[0]?.replaceAll(' ', ''));
  disk.write(lines.join(''), 'hex');
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}
