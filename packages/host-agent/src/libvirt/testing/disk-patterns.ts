// What tests write to disks and find on them again: a byte for each block of 64 KiB. Written by the QEMU that runs a guest, as
// the guest would, or by QEMU's program to a disk that nobody has; read from a copy of all that a disk rests on.
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Connection } from '@virga/libvirt/connection/connect';
import { openedWith, withKeys } from '../pools/disk-files.ts';

const run = promisify(execFile);
export const blockBytes = 64 * 1024;

/** What each block is full of. */
export type Pattern = readonly number[];

const writes = (pattern: Pattern, from: number): string[] =>
  pattern.map((byte, index) => `write -P ${byte} ${(from + index) * blockBytes} ${blockBytes}`);

/** @param device such as virtio-disk0, as libvirt calls it; of a volume its alias */
export async function writeInGuest(
  { domains }: Connection,
  domainName: string,
  pattern: Pattern,
  { device = 'virtio-disk0', from = 0 } = {},
): Promise<void> {
  const ref = await domains.lookupByName(domainName);
  // Which blocks there are, QEMU writes down when the guest asks for it.
  for (const line of [...writes(pattern, from), 'flush']) {
    const command = `qemu-io -d /machine/peripheral/${device}/virtio-backend "${line}"`;
    const answer = await domains.monitorCommand(ref, {
      execute: 'human-monitor-command',
      arguments: { 'command-line': command },
    });
    if (typeof answer === 'string' && /error|fail|not found|usage/i.test(answer)) throw new Error(answer);
  }
}

export async function writeToFile(file: string, pattern: Pattern, from = 0): Promise<void> {
  const commands = writes(pattern, from).flatMap((line) => ['-c', line]);
  await run('qemu-io', ['-f', file.endsWith('.raw') ? 'raw' : 'qcow2', ...commands, file]);
}

/** Blocks of a disk; -1 where a block is not full of one byte. Also while a guest has it. */
export const readPattern = (file: string, blocks: number, from = 0): Promise<number[]> =>
  blocksOf(['-f', file.endsWith('.raw') ? 'raw' : 'qcow2', file], blocks, from);

/** The same of an encrypted one. @param files all of them, the one that is written to first */
export const readEncrypted = (files: readonly string[], passphrase: string, blocks: number): Promise<number[]> =>
  withKeys({ key: passphrase }, (keys) => blocksOf([...keys, '--image-opts', openedWith(files, 'key')], blocks));

async function blocksOf(image: readonly string[], blocks: number, from = 0): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-pattern.'));
  try {
    const copy = join(folder, 'copy');
    await run('qemu-img', ['convert', '-U', '-O', 'raw', ...image, copy]);
    await using raw = await open(copy, 'r');
    const { buffer: bytes } = await raw.read(
      Buffer.alloc(blocks * blockBytes),
      0,
      blocks * blockBytes,
      from * blockBytes,
    );
    return Array.from({ length: blocks }, (_, block) => {
      const part = bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
      return part.every((byte) => byte === part[0]) ? part[0]! : -1;
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
