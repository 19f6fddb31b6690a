// Which disks a folder lies on: its mount, the device of that, and what the device rests on. File systems that are no local
// disk's, such as tmpfs, overlay and NFS, have an answer too: that it is unknown, and why.
import { basename, dirname, join } from 'node:path';
import type { FolderDevices } from '@virga/contract/agent/block-devices';
import type { HostSystem } from '../host-system/host-system.ts';
import { isDisk } from './block-devices.ts';
import { type BlockLayers, blockLayers } from './layers.ts';

type Mount = { majorMinor: string; mountPoint: string; fileSystem: string; source: string };

/** More links than that lead round in circles. */
const maxLinks = 40;

export async function folderDevices(system: HostSystem, path: string): Promise<FolderDevices> {
  const layers = await blockLayers(system);
  const mounts = readMounts((await system.read('/proc/self/mountinfo')) ?? '');
  return lookUnder(system, layers, mounts, path, new Set());
}

async function lookUnder(
  system: HostSystem,
  layers: BlockLayers,
  mounts: readonly Mount[],
  path: string,
  seen: Set<string>,
): Promise<FolderDevices> {
  const unknown = (why: string, fileSystem: string | null = null): FolderDevices => ({
    path,
    devices: [],
    through: [],
    fileSystem,
    why,
  });
  const place = await realPath(system, path);
  const mount = mountOf(mounts, place);
  if (mount === undefined) return unknown('The kernel tells of no mount that it lies on.');
  const names = await devicesOf(system, layers, mount);
  if (names.length === 0) {
    return unknown(`It lies on ${mount.fileSystem} (${mount.source}), which is no local disk's.`, mount.fileSystem);
  }
  const devices = new Set<string>();
  const through = new Set<string>();
  for (const name of names) {
    const below = await layers.below(name);
    for (const disk of below.disks) devices.add(disk);
    for (const layer of below.through) through.add(layer);
    // A loop device is a file, which lies somewhere again.
    for (const file of below.files) {
      if (seen.has(file)) continue;
      seen.add(file);
      const under = await lookUnder(system, layers, mounts, dirname(file), seen);
      if (under.devices.length === 0) return unknown(`It lies in the file ${file}. ${under.why}`, mount.fileSystem);
      for (const disk of under.devices) devices.add(disk);
      for (const layer of under.through) through.add(layer);
    }
  }
  const strange = [...devices].find((name) => !isDisk(name));
  if (strange !== undefined) {
    return unknown(
      `It lies on ${strange}, which is no disk of this host: what keeps it is not known here.`,
      mount.fileSystem,
    );
  }
  return { path, devices: [...devices], through: [...through], fileSystem: mount.fileSystem, why: null };
}

/** Btrfs has a number of no device, and may have several of them. */
async function devicesOf(system: HostSystem, layers: BlockLayers, mount: Mount): Promise<string[]> {
  const byNumber = layers.named(mount.majorMinor);
  if (byNumber !== undefined) return [byNumber];
  if (!mount.source.startsWith('/dev/')) return [];
  const name = basename(await realPath(system, mount.source));
  if (!layers.has(name)) return [];
  for (const id of await system.list('/sys/fs/btrfs')) {
    const members = await system.list(`/sys/fs/btrfs/${id}/devices`);
    if (members.includes(name)) return members;
  }
  return [name];
}

/** The innermost mount; of several at one place, the one on top. */
function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const holds = ({ mountPoint }: Mount) =>
    mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
  return mounts.reduce<Mount | undefined>(
    (best, mount) =>
      holds(mount) && (best === undefined || mount.mountPoint.length >= best.mountPoint.length) ? mount : best,
    undefined,
  );
}

/** @see man 5 proc_pid_mountinfo */
function readMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [own = '', superblock = ''] = line.split(' - ');
    const [, , majorMinor, , mountPoint] = own.split(' ');
    const [fileSystem, source] = superblock.split(' ');
    if (majorMinor === undefined || mountPoint === undefined || fileSystem === undefined) return [];
    return [{ majorMinor, mountPoint: plainPath(mountPoint), fileSystem, source: plainPath(source ?? '') }];
  });
}

/** Blanks and the like stand there as octal numbers. */
const plainPath = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));

async function realPath(system: HostSystem, path: string): Promise<string> {
  let done = '/';
  let left = path.split('/');
  for (let links = 0; left.length > 0; ) {
    const [part = '', ...rest] = left;
    left = rest;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done = dirname(done);
      continue;
    }
    const next = join(done, part);
    const target = links < maxLinks ? await system.link(next) : undefined;
    if (target === undefined) {
      done = next;
      continue;
    }
    links++;
    if (target.startsWith('/')) done = '/';
    left = [...target.split('/'), ...left];
  }
  return done;
}
