// Options that say how QEMU reads and writes a disk, of a launch, a type, an attachment and a change, and how it is shown.
import type { DiskDriver } from '@virga/contract/agent/desired';
import type { TextOption } from '../command.ts';

const yesOrNo = { type: 'text', value: 'YES-OR-NO', choices: ['yes', 'no'], whenBare: 'yes' } as const;

export const diskDriverOptions = {
  cache: {
    type: 'text',
    value: 'MODE',
    choices: ['none', 'writethrough', 'writeback', 'directsync', 'unsafe'],
    summary: 'cache mode; default none, past the page cache of the host; unsafe only for scratch volumes',
  },
  aio: {
    type: 'text',
    value: 'HOW',
    choices: ['threads', 'native', 'io_uring'],
    summary: 'asynchronous I/O; default native where the cache mode lets it, threads elsewhere',
  },
  discard: {
    type: 'text',
    value: 'WHAT',
    choices: ['unmap', 'ignore'],
    summary: 'what becomes of blocks that the guest gives back; default unmap, which frees them on the host',
  },
  ioThread: { ...yesOrNo, summary: 'a thread of its own for this disk; default no' },
} as const satisfies Record<string, TextOption>;

/** The same where other options are about something else than the disk. */
export const rootDiskDriverOptions = {
  diskCache: { ...diskDriverOptions.cache, summary: 'cache mode of the root disk; default none' },
  diskAio: { ...diskDriverOptions.aio, summary: 'asynchronous I/O of the root disk' },
  diskDiscard: { ...diskDriverOptions.discard, summary: 'what becomes of blocks of the root disk that are given back' },
  diskIoThread: { ...diskDriverOptions.ioThread, summary: 'a thread of its own for the root disk; default no' },
} as const satisfies Record<string, TextOption>;

type Chosen = {
  cache: DiskDriver['cache'] | undefined;
  aio: DiskDriver['aio'] | undefined;
  discard: DiskDriver['discard'] | undefined;
  ioThread: 'yes' | 'no' | undefined;
};

/** @returns undefined when nothing was said */
export function readDiskDriver({ cache, aio, discard, ioThread }: Chosen): DiskDriver | undefined {
  const driver = {
    ...(cache !== undefined && { cache }),
    ...(aio !== undefined && { aio }),
    ...(discard !== undefined && { discard }),
    ...(ioThread !== undefined && { ioThread: ioThread === 'yes' }),
  };
  return Object.keys(driver).length === 0 ? undefined : driver;
}

type ChosenForRoot = {
  diskCache: Chosen['cache'];
  diskAio: Chosen['aio'];
  diskDiscard: Chosen['discard'];
  diskIoThread: Chosen['ioThread'];
};

export const readRootDiskDriver = (options: ChosenForRoot): DiskDriver | undefined =>
  readDiskDriver({
    cache: options.diskCache,
    aio: options.diskAio,
    discard: options.diskDiscard,
    ioThread: options.diskIoThread,
  });

/** Such as `cache writeback, aio io_uring, I/O thread`. */
export function describeDiskDriver(driver: DiskDriver | null): string | null {
  if (driver === null) return null;
  const { cache, aio, discard, ioThread } = driver;
  return [
    cache && `cache ${cache}`,
    aio && `aio ${aio}`,
    discard && `discard ${discard}`,
    ioThread !== undefined && (ioThread ? 'I/O thread' : 'no I/O thread'),
  ]
    .filter(Boolean)
    .join(', ');
}
