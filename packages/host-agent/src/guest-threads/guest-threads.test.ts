import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { hostSystemAt, realHostSystem } from '../host-system/host-system.ts';
import { runCommand } from '../run-command.ts';
import { busyBetween, kindOf, sampleCpus, sampleThreads, threadsBetween } from './guest-threads.ts';

const stat = (tid: number, name: string, ticks: number, processor: number) =>
  `${tid} (${name}) S 1 ${Array.from({ length: 9 }, () => 0).join(' ')} ${ticks} 0 ${Array.from({ length: 23 }, () => 0).join(' ')} ${processor} 0 0\n`;

test('threads of QEMU are told apart by their names, where they may run, and how busy they were', async () => {
  const root = mkdtempSync(join(tmpdir(), 'virga-threads-'));
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const threads = [
    [100, 'qemu-system-x86', '0,4', 4, undefined],
    [103, 'CPU 1/KVM', '3', 3, 7_000_000_000],
    [102, 'CPU 0/KVM', '2', 2, 5_000_000_000],
    [104, 'IO iothread2', '0', 0, 1_000_000],
    [105, 'a (b) c', '0-7', 6, 0],
  ] as const;
  for (const [tid, name, allowed, processor, ns] of threads) {
    put(`proc/100/task/${tid}/stat`, stat(tid, name, 50, processor));
    put(`proc/100/task/${tid}/status`, `Name:\t${name}\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\n`);
    if (ns !== undefined) put(`proc/100/task/${tid}/schedstat`, `${ns} 1 2\n`);
  }
  const system = hostSystemAt(root, runCommand);
  const before = await sampleThreads(system, 100);
  put('proc/100/task/102/schedstat', '5500000000 1 2\n');
  put('proc/100/task/100/stat', stat(100, 'qemu-system-x86', 60, 4));
  const after = await sampleThreads(system, 100);
  await rm(root, { recursive: true });
  assert.deepEqual(
    threadsBetween(before, after, 1000).map(({ tid, kind, index, allowedCpus, lastCpu, busyPercent }) => [
      ...[tid, kind, index],
      ...[allowedCpus, lastCpu, busyPercent],
    ]),
    [
      [102, 'vcpu', 0, [2], 2, 50],
      [103, 'vcpu', 1, [3], 3, 0],
      [104, 'iothread', 2, [0], 0, 0],
      [100, 'emulator', null, [0, 4], 4, 10],
      [105, 'emulator', null, [0, 1, 2, 3, 4, 5, 6, 7], 6, 0],
    ],
  );
});

test('emulated and accelerated vCPUs are vCPUs, and a monitor’s thread is none of a disk', () => {
  assert.deepEqual(kindOf('CPU 12/TCG'), { kind: 'vcpu', index: 12 });
  assert.deepEqual(kindOf('IO mon_iothread'), { kind: 'emulator', index: null });
  assert.deepEqual(kindOf('worker'), { kind: 'emulator', index: null });
});

test('how busy a CPU was leaves out what it waited for disks', async () => {
  const root = mkdtempSync(join(tmpdir(), 'virga-threads-'));
  mkdirSync(join(root, 'proc'));
  const system = hostSystemAt(root, runCommand);
  const write = (lines: string) => writeFileSync(join(root, 'proc/stat'), lines);
  write('cpu  9 9 9 9\ncpu0 100 0 0 100 0 0 0 0 50 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n');
  const before = await sampleCpus(system);
  write('cpu  9 9 9 9\ncpu0 125 0 0 150 25 0 0 0 75 0\ncpu1 10 0 0 0 0 0 0 0 0 0\n');
  const after = await sampleCpus(system);
  await rm(root, { recursive: true });
  assert.deepEqual(busyBetween(before, after), [
    { id: 0, busyPercent: 25 },
    { id: 1, busyPercent: 100 },
  ]);
});

test('this very process has threads that may run somewhere', async () => {
  const threads = await sampleThreads(realHostSystem, process.pid);
  assert.ok(threads.some(({ tid, allowedCpus }) => tid === process.pid && allowedCpus.length > 0));
  assert.ok(threads.every(({ allowedCpus, lastCpu }) => allowedCpus.includes(lastCpu) || lastCpu >= 0));
});
