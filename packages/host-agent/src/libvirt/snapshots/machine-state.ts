// What a machine keeps beside its disks, in a snapshot: it lies in the folder of that, and is put back after the disks.
import type { InstanceId, SnapshotId } from '@virga/contract/ids';
import { readJsonFile, writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import { lookAt } from '../instances/domain-lookup.ts';
import { type Machine, type MachineFiles, readMachineFiles, writeMachineFiles } from '../instances/machine-files.ts';
import { observedState } from '../instances/observed-state.ts';
import type { Storage } from '../storage.ts';
import { machinePath, type SnapshotRecord } from './snapshot-record.ts';

/** There are secrets in a TPM. */
const mode = 0o600;

/** To be called before the disks are taken, and after, when something of it has changed meanwhile. Its folder is there. */
export async function keepMachine(
  storage: Storage,
  { instanceId, id, machineState = [] }: SnapshotRecord,
  machine: Machine,
): Promise<void> {
  if (machineState.length === 0) return;
  const path = machinePath(storage, instanceId, id);
  const content = JSON.stringify(await readMachineFiles(storage, machine));
  if (content !== JSON.stringify(await keptMachine(storage, instanceId, id))) {
    await writeFileDurably(path, content, mode);
  }
}

/** Nothing: of a snapshot of a machine that has none, or that was taken before such was kept. */
export const keptMachine = async (storage: Storage, instanceId: InstanceId, id: SnapshotId): Promise<MachineFiles> =>
  (await readJsonFile<MachineFiles>(machinePath(storage, instanceId, id))) ?? {};

/** Its disks are those of the snapshot. A guest that somebody has started since goes on with what it has. May be done twice. */
export async function putMachineBack(context: AgentContext, snapshotId: SnapshotId, machine: Machine): Promise<void> {
  const { storage, hypervisor, log } = context;
  const files = await keptMachine(storage, machine.id, snapshotId);
  if (Object.keys(files).length === 0) return;
  const domain = await hypervisor.ask(`look at ${machine.id}`, (connection) => lookAt(connection, machine.uuid));
  if (domain !== undefined && observedState(domain.state).state !== 'stopped') {
    log.warn({ instance: machine.id, snapshot: snapshotId }, 'a guest was started before its firmware was put back');
    return;
  }
  await context.hook('revert-machine', machine.id);
  await writeMachineFiles(storage, machine, files);
}
