// What the kernel tells of the memory of one process, such as the QEMU of a guest. What an older kernel does not tell is null.
import type { HostSystem } from '../host-system/host-system.ts';
import { kibOf } from '../host-system/kib-of.ts';
import { readPageKib } from './host-memory.ts';

export type ProcessMemory = {
  residentKib: number | null;
  hugePagesKib: number;
  mergedKib: number | null;
  mergeable: boolean | null;
};

/** Null: there is no such process. */
export async function readProcessMemory(system: HostSystem, pid: number): Promise<ProcessMemory | null> {
  const folder = `/proc/${pid}`;
  const [status, merging, ksm] = await Promise.all(
    ['status', 'ksm_merging_pages', 'ksm_stat'].map((name) => system.read(`${folder}/${name}`)),
  );
  if (status === undefined) return null;
  const pages = merging === undefined || merging.trim() === '' ? Number.NaN : Number(merging.trim());
  return {
    residentKib: kibOf(status, 'VmRSS') ?? null,
    hugePagesKib: kibOf(status, 'HugetlbPages') ?? 0,
    mergedKib: Number.isNaN(pages) ? null : pages * (await readPageKib(system)),
    mergeable: mergeableOf(ksm),
  };
}

function mergeableOf(ksm: string | undefined): boolean | null {
  const told = /^ksm_mergeable:\s*(yes|no)$/m.exec(ksm ?? '');
  return told ? told[1] === 'yes' : null;
}

export type SharedMapping = {
  /** Of what is mapped from the file and in memory, what others have mapped too. */
  sharedKib: number;
  /** What the process would take more if none of it were shared. */
  savedKib: number;
};

/** The mappings of a file in a process; null when the kernel does not tell. Takes longer the more memory there is. */
export async function readSharedMapping(system: HostSystem, pid: number, path: string): Promise<SharedMapping | null> {
  const smaps = await system.read(`/proc/${pid}/smaps`);
  if (smaps === undefined) return null;
  const mappings = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).filter((mapping) => fileOf(mapping) === path);
  let sharedKib = 0;
  let savedKib = 0;
  for (const mapping of mappings) {
    const field = (name: string): number => kibOf(mapping, name) ?? 0;
    sharedKib += field('Shared_Clean') + field('Shared_Dirty');
    savedKib += Math.max(0, field('Rss') - field('Pss'));
  }
  return { sharedKib, savedKib };
}

/** A file that was removed meanwhile is told of with a word behind its name. */
const fileOf = (mapping: string): string | undefined =>
  /^\S+ \S+ \S+ \S+ \S+ +(\/.*?)(?: \(deleted\))?$/m.exec(mapping)?.[1];
