// The disks of the host and the folder that images and instances lie in.
import { randomBytes } from 'node:crypto';
import { blockDevices } from '../block-devices/block-devices.ts';
import { protectedDisks } from '../block-devices/disk-protection.ts';
import type { HostCheck } from './host-check.ts';
import { sysctlRepair, sysfsRepair } from './repairs.ts';

/** Schedulers that cost a class of disks more than they bring, and what takes their place. */
const unfit = {
  nvme: { names: ['bfq', 'cfq'], better: ['none', 'noop', 'mq-deadline', 'deadline'] },
  ssd: { names: ['cfq'], better: ['mq-deadline', 'deadline', 'none', 'noop'] },
  virtual: { names: ['bfq', 'cfq'], better: ['none', 'noop', 'mq-deadline', 'deadline'] },
  rotating: { names: ['none', 'noop', 'kyber'], better: ['mq-deadline', 'deadline', 'bfq', 'cfq'] },
} as const;

const schedulers: HostCheck = {
  name: 'io-schedulers',
  title: 'I/O schedulers',
  why: 'One that does not suit the kind of disk makes guests wait for each other.',
  repairs: 'queue/scheduler of each such disk, now and at each start',
  async look(look) {
    const disks = await blockDevices(look.system);
    if (disks.length === 0) return { verdict: 'not-applicable', seen: 'The host has no disks of its own.' };
    const wrong = disks.flatMap(({ name, class: kind, scheduler: { chosen, available }, controller }) => {
      look.note(
        `/sys/block/${name}/queue/scheduler`,
        `${chosen ?? 'none to choose'} of ${available.join(', ')}, ${kind}`,
      );
      // Behind a RAID controller there are many disks, which it orders itself.
      const rule = unfit[controller === null ? kind : 'virtual'];
      if (chosen === null || !(rule.names as readonly string[]).includes(chosen)) return [];
      const better = rule.better.find((scheduler) => available.includes(scheduler));
      return better === undefined ? [] : [{ name, kind, chosen, better }];
    });
    if (wrong.length === 0) {
      return {
        verdict: 'ok',
        seen: disks.length === 1 ? 'The disk has one that suits it.' : 'Each disk has one that suits it.',
      };
    }
    return {
      verdict: 'advice',
      seen: `${wrong.map(({ name, kind, chosen }) => `${name} (${kind}) has ${chosen}`).join(', ')}.`,
      settings: wrong.flatMap(({ name, better }) =>
        sysfsRepair(
          `io-schedulers-${name}`,
          [[`/sys/block/${name}/queue/scheduler`, better]],
          'It suits this kind of disk.',
        ),
      ),
      todo: 'virga hosts tune knows more of disks than this.',
    };
  },
};

const powerLoss: HostCheck = {
  name: 'power-loss',
  title: 'Write caches of disks',
  why: 'What a disk has acknowledged into a cache without a battery or capacitor is lost when the power goes.',
  async look(look) {
    const disks = await protectedDisks(look.system);
    for (const { name, protection } of disks) {
      for (const { from, value } of protection.read) look.note(from, value);
      if (protection.read.length === 0) look.note(`/sys/block/${name}/queue/write_cache`, null);
    }
    if (disks.length === 0) return { verdict: 'not-applicable', seen: 'The host has no disks of its own.' };
    const named = (verdict: string) =>
      disks.filter((disk) => disk.protection.verdict === verdict).map(({ name }) => name);
    const [open, silent] = [named('volatile'), named('unknown')];
    if (open.length === 0) {
      const unsaid = silent.length > 0 ? `; ${silent.join(', ')} ${silent.length === 1 ? 'does' : 'do'} not say` : '';
      return { verdict: 'ok', seen: `No disk says that it would lose what it has acknowledged${unsaid}.` };
    }
    return {
      verdict: 'advice',
      seen: `${open.join(', ')} would lose what a guest did not flush; write-back caching is refused there.`,
      todo: 'virga hosts disks shows each disk; guests that flush, as all do that are set up well, lose nothing.',
    };
  },
};

const reflink: HostCheck = {
  name: 'reflink',
  title: 'Copies that share their blocks (reflink)',
  why: 'With them a full copy of a disk takes milliseconds and no room; without, it is written out.',
  async look(look, { storagePath }) {
    // Several may try at the same time.
    const probe = `${storagePath}/.reflink-probe-${randomBytes(4).toString('hex')}`;
    const { system } = look;
    try {
      await system.replaceFile(probe, 'x'.repeat(64 * 1024));
      const copied = await look.run('cp', ['--reflink=always', probe, `${probe}-copy`]);
      if (copied !== undefined) return { verdict: 'ok', seen: `The file system of ${storagePath} makes them.` };
    } finally {
      for (const path of [probe, `${probe}-copy`]) await system.replaceFile(path, null).catch(() => undefined);
    }
    const kind = await look.run('stat', ['--file-system', '--format=%T', storagePath]);
    return {
      verdict: 'advice',
      seen: `The file system of ${storagePath}${kind ? ` (${kind})` : ''} cannot make them; linked clones do without.`,
      todo: 'Keep the storage on XFS (mkfs.xfs -m reflink=1) or btrfs.',
    };
  },
};

const directIo: HostCheck = {
  name: 'direct-io',
  title: 'I/O past the page cache',
  why: 'Without it every block of a guest is in memory twice, once in the guest and once on the host.',
  async look(look, { directIo, storagePath }) {
    look.note(`open ${storagePath} with O_DIRECT`, directIo ? 'succeeded' : 'refused');
    if (directIo) return { verdict: 'ok', seen: `Files of ${storagePath} can be opened past it.` };
    return {
      verdict: 'warning',
      seen: `The file system of ${storagePath} cannot do it.`,
      todo: 'Keep the storage on ext4, XFS or btrfs; not on tmpfs.',
    };
  },
};

const gibibyte = 1024 ** 3;

const freeDisk: HostCheck = {
  name: 'free-disk',
  title: 'Free disk',
  why: 'Guests whose disks cannot grow any more are stopped in their tracks.',
  async look(look, { storagePath, storageSpace }) {
    const { freeBytes, totalBytes } = await storageSpace();
    const free = `${(freeBytes / gibibyte).toFixed(1)} of ${(totalBytes / gibibyte).toFixed(1)} GiB`;
    look.note(`space of ${storagePath}`, `${free} free`);
    const seen = `${free} are free in ${storagePath}.`;
    const share = freeBytes / Math.max(1, totalBytes);
    const todo = 'Delete what is no longer needed, or add storage.';
    if (share < 0.03 || freeBytes < gibibyte) return { verdict: 'failure', seen, todo };
    if (share < 0.15 || freeBytes < 5 * gibibyte) return { verdict: 'warning', seen, todo };
    return { verdict: 'ok', seen };
  },
};

/** QEMU's linux-aio asks the kernel for so many events for each thread that does I/O. */
const eventsPerDisk = 1024;
const enoughEvents = 1_048_576;

const asyncIo: HostCheck = {
  name: 'async-io',
  title: 'Room for asynchronous I/O',
  why: 'Native AIO of each guest takes of one pool of the kernel; when that is empty, guests do not start.',
  repairs: 'fs.aio-max-nr, now and at each start',
  async look(look) {
    const most = await look.readNumber('/proc/sys/fs/aio-max-nr');
    if (most === undefined) return { verdict: 'not-applicable', seen: 'The kernel has no such pool.' };
    const used = (await look.readNumber('/proc/sys/fs/aio-nr')) ?? 0;
    const guests = Math.floor(most / eventsPerDisk);
    const seen = `There is room for about ${guests} guests, and ${Math.ceil(used / eventsPerDisk)} of it is taken.`;
    if (most >= enoughEvents) return { verdict: 'ok', seen };
    return {
      verdict: used > most * 0.8 ? 'warning' : 'advice',
      seen,
      settings: sysctlRepair('async-io', 'fs/aio-max-nr', String(enoughEvents), 'Room for about a thousand guests.'),
    };
  },
};

export const storageChecks: readonly HostCheck[] = [schedulers, powerLoss, reflink, directIo, freeDisk, asyncIo];
