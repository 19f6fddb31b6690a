// Nested paging of the processor, switched by loading the module of KVM anew. What it was stands in a file before anything is
// done, so that it is as before also after a crash. Nothing may use the module meanwhile.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from '../../durable-file.ts';
import { NotPossible } from '../../host-bench/comparison.ts';
import type { HostSystem } from '../../host-system/host-system.ts';

type Module = { name: 'kvm_intel' | 'kvm_amd'; parameter: 'ept' | 'npt' };

const modules: readonly Module[] = [
  { name: 'kvm_intel', parameter: 'ept' },
  { name: 'kvm_amd', parameter: 'npt' },
];

const recordOf = (folder: string): string => join(folder, 'nested-paging.json');

/** @throws NotPossible the host has no such switch */
export async function nestedPagingModule(system: HostSystem): Promise<Module & { isOn: boolean }> {
  for (const module of modules) {
    const value = await system.read(`/sys/module/${module.name}/parameters/${module.parameter}`);
    if (value === undefined) continue;
    // One that is built into the kernel has no count of users.
    if ((await system.read(`/sys/module/${module.name}/refcnt`)) === undefined) {
      throw new NotPossible(`${module.name} is part of this kernel and cannot be loaded anew`);
    }
    return { ...module, isOn: /^[Y1]/.test(value) };
  }
  throw new NotPossible('this kernel has neither kvm_intel nor kvm_amd with a switch for it');
}

/** @throws NotPossible the module cannot be loaded anew, such as while guests use it */
export async function setNestedPaging(system: HostSystem, folder: string, isOn: boolean): Promise<void> {
  const module = await nestedPagingModule(system);
  if (module.isOn === isOn) return;
  const record = recordOf(folder);
  if ((await readText(record)) === undefined) await writeFileDurably(record, JSON.stringify(module), 0o600);
  await load(system, module, isOn);
}

/** As it was before the first change. Idempotent. */
export async function restoreNestedPaging(system: HostSystem, folder: string): Promise<void> {
  const text = await readText(recordOf(folder));
  if (text === undefined) return;
  const before = JSON.parse(text) as Module & { isOn: boolean };
  await load(system, before, before.isOn);
  await rm(recordOf(folder), { force: true });
}

async function load(system: HostSystem, { name, parameter }: Module, isOn: boolean): Promise<void> {
  try {
    await system.run('modprobe', ['-r', name], { package: 'kmod' });
    await system.run('modprobe', [name, `${parameter}=${isOn ? 1 : 0}`], { package: 'kmod' });
  } catch (error) {
    throw new NotPossible(`${name} could not be loaded anew: ${(error as Error).message.trim()}`);
  }
}

const readText = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined);
