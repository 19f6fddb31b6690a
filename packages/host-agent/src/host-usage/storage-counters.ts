// What was read and written on the block device under a folder. Finds the device by the mount that the folder is in; a file
// system of memory or of the network has none.
import type { HostUsage } from '@virga/contract/agent/host-usage';
import type { HostSystem } from '../host-system/host-system.ts';

/** The kernel counts in these, whatever a device has. @see https://docs.kernel.org/admin-guide/iostats.html */
const sectorBytes = 512;

/** @param path absolute, without symbolic links */
export async function storageCounters(system: HostSystem, path: string): Promise<HostUsage['storage']> {
  const mount = mountOf((await system.read('/proc/self/mountinfo')) ?? '', path);
  if (mount === undefined) return null;
  const rows = ((await system.read('/proc/diskstats')) ?? '').split('\n').map((line) => line.trim().split(/\s+/));
  const name = await nameOf(system, mount.source);
  // A file system over several devices has a number of its own; then it is found by what was mounted.
  const row =
    rows.find(([major, minor]) => `${major}:${minor}` === mount.device) ?? rows.find(([, , each]) => each === name);
  if (row === undefined) return null;
  const field = (index: number) => Number(row[index] ?? 0);
  return {
    device: row[2]!,
    readRequests: field(3),
    readBytes: field(5) * sectorBytes,
    writeRequests: field(7),
    writtenBytes: field(9) * sectorBytes,
    busyMs: field(12),
  };
}

type Mount = { device: string; source: string };

/** The last mount at the longest matching path hides those before it. */
export function mountOf(mountinfo: string, path: string): Mount | undefined {
  let best: (Mount & { at: string }) | undefined;
  for (const line of mountinfo.split('\n')) {
    const [mounted, source] = line.split(' - ');
    const [, , device, , point] = mounted!.split(' ');
    if (device === undefined || point === undefined) continue;
    const at = unescaped(point);
    const isAbove = at === '/' || path === at || path.startsWith(`${at}/`);
    if (!isAbove || (best !== undefined && at.length < best.at.length)) continue;
    best = { at, device, source: unescaped(source?.split(' ')[1] ?? '') };
  }
  return best;
}

/** Spaces and the like stand there as octal numbers. */
const unescaped = (text: string) =>
  text.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Of a device such as /dev/mapper/root, which is a link to dm-0. */
async function nameOf(system: HostSystem, source: string): Promise<string | undefined> {
  if (!source.startsWith('/dev/')) return undefined;
  return ((await system.link(source)) ?? source).split('/').at(-1);
}
