// What a machine keeps beside its disks: the variables of its UEFI, in its folder, and its TPM, which libvirt keeps by its UUID.
// Reads them, also while the machine runs, and puts them back while it is off. Of a TPM that runs these are its permanent
// state, as after a loss of power: swtpm writes that under another name and renames it at each change.
// @see https://github.com/stefanberger/swtpm/blob/master/src/swtpm/swtpm_nvstore_dir.c
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BackupSettings } from '@virga/contract/agent/backups';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { MachineState } from '@virga/contract/agent/snapshots';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import type { Storage } from '../storage.ts';
import { folderPath } from './instance-folder.ts';
import { tpmStatePath } from './tpm-state.ts';

/** Contents, base64, by name. */
export type MachineFiles = BackupSettings['files'];
export type Machine = Pick<DesiredInstance, 'id' | 'uuid' | 'tpm'>;

const variablesName = /^nvram-[a-z-]+\.fd$/;
const tpmName = /^tpm\/(tpm2\/tpm2-00\.permall)$/;
/** Who starts the machine gives them to its QEMU and its swtpm. */
const fileMode = 0o600;
const folderMode = 0o700;
const readsAtMost = 10;

export async function readMachineFiles(storage: Storage, machine: Machine): Promise<MachineFiles> {
  const folder = folderPath(storage, machine.id);
  const variables = (await readdir(folder)).filter((name) => variablesName.test(name));
  const tpm = tpmStatePath(machine.uuid);
  const state = machine.tpm ? await readdir(join(tpm, 'tpm2')).catch(() => []) : [];
  const files = [
    ...variables.map((name) => [name, join(folder, name)] as const),
    ...state.map((name) => [`tpm/tpm2/${name}`, join(tpm, 'tpm2', name)] as const),
  ].filter(([name]) => variablesName.test(name) || tpmName.test(name));
  return Object.fromEntries(
    await Promise.all(files.map(async ([name, path]) => [name, await readWhole(path)] as const)),
  );
}

/** The same twice: QEMU writes variables in place. */
async function readWhole(path: string): Promise<string> {
  let before = await readFile(path, 'base64');
  for (let reads = 1; reads < readsAtMost; reads += 1) {
    const now = await readFile(path, 'base64');
    if (now === before) break;
    before = now;
  }
  return before;
}

/** What else there is, such as the seed, belongs to the instance and not to a moment of it. */
export const machineFilesIn = (files: MachineFiles): MachineFiles =>
  Object.fromEntries(Object.entries(files).filter(([name]) => variablesName.test(name) || tpmName.test(name)));

/** Without the TPM, whose identity no two machines may have. */
export const variablesIn = (files: MachineFiles): MachineFiles =>
  Object.fromEntries(Object.entries(files).filter(([name]) => variablesName.test(name)));

export function machineStateOf(files: MachineFiles): MachineState[] {
  const names = Object.keys(files);
  return [
    ...(names.some((name) => variablesName.test(name)) ? (['uefi-variables'] as const) : []),
    ...(names.some((name) => tpmName.test(name)) ? (['tpm'] as const) : []),
  ];
}

/** Of a machine that is off. What there is nothing of in them stays as it is. May be done twice. */
export async function writeMachineFiles(storage: Storage, machine: Machine, files: MachineFiles): Promise<void> {
  const folder = folderPath(storage, machine.id);
  for (const [name, content] of Object.entries(variablesIn(files))) {
    await writeFileDurably(join(folder, name), Buffer.from(content, 'base64'), fileMode);
  }
  await flushFolder(folder);
  const state = Object.entries(files).flatMap(([name, content]) => {
    const path = tpmName.exec(name)?.[1];
    return path === undefined ? [] : [[path, content] as const];
  });
  if (!machine.tpm || state.length === 0) return;
  const tpm = tpmStatePath(machine.uuid);
  const inside = join(tpm, 'tpm2');
  await mkdir(inside, { recursive: true, mode: folderMode });
  for (const [path, content] of state) {
    await writeFileDurably(join(tpm, path), Buffer.from(content, 'base64'), fileMode);
  }
  const known = new Set(state.map(([path]) => basename(path)));
  const others = (await readdir(inside)).filter((name) => !known.has(name) && !name.startsWith('.'));
  await Promise.all(others.map((name) => rm(join(inside, name), { force: true })));
  await flushFolder(inside);
}
