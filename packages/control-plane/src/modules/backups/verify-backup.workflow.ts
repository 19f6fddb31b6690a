// Tests a backup: all of it is read back and compared with what was stored; and a machine that is made of it, which has no network
// card and belongs to no project, is started and waited for. It is of a cloud of its own on the host, so that nobody takes it for an
// instance, and is removed at the end, whatever that is.
import type { HostAgent } from '@virga/contract/agent/agent';
import { restoreTestCloud } from '@virga/contract/agent/backups';
import { type DesiredInstance, instanceDefaults } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId, InstanceId, RestoreId } from '@virga/contract/ids';
import type { Verification } from '@virga/contract/rest/backups';
import type { Deps } from '../../deps.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { type BackupRow, findBackup } from './backup-rows.ts';
import { fetchDisks, restoreHost } from './fetch-disks.ts';

type Input = {
  backupId: BackupId;
  restoreId: RestoreId;
  /** Of the machine. */
  instanceId: InstanceId;
  boot: boolean;
  expect: string;
  timeoutSeconds: number;
};
export const verifyBackupKind = 'backup.verify';

const pollMs = 1_000;
const consoleBytes = 64 * 1024;

type Outcome = Pick<Verification, 'outcome' | 'detail'>;

export const verifyBackup = workflow<Input>({
  kind: verifyBackupKind,
  isLong: true,
  steps: [
    step<Input>({
      message: 'reading the backup back',
      act: (context) => fetchDisks(context, { hidesBase: false }),
      undo: cleanUp,
    }),
    step<Input, Outcome>({
      message: 'booting a machine of it',
      act: (context) =>
        context.input.boot ? boot(context) : Promise.resolve({ outcome: 'sound', detail: 'All of it was read back.' }),
      record: async (tx, { deps, input }, outcome) => {
        const verified: Verification = { at: deps.clock.now().toISOString(), ...outcome };
        await tx
          .updateTable('backups')
          .set({ verified: JSON.stringify(verified) })
          .where('id', '=', input.backupId)
          .execute();
      },
    }),
    step<Input>({ message: 'removing the machine', act: cleanUp }),
  ],
  failed: async (tx, { deps, input }, error) => {
    const verified: Verification = { at: deps.clock.now().toISOString(), outcome: 'failed', detail: error.detail };
    await tx
      .updateTable('backups')
      .set({ verified: JSON.stringify(verified) })
      .where('id', '=', input.backupId)
      .execute();
  },
});

async function boot(context: ActContext<Input>): Promise<Outcome> {
  const { deps, input, signal } = context;
  const { row, agent } = await hostOf(deps, input);
  const machine = machineOf(deps, input, row);
  const began = performance.now();
  await requireMemory(agent, machine);
  await agent.applyInstance(machine, { signal });
  for (;;) {
    signal.throwIfAborted();
    const seconds = Math.round((performance.now() - began) / 1000);
    const said = await hasBooted(agent, machine, input.expect);
    if (said !== undefined) return { outcome: 'boots', detail: `A machine of it booted: ${said} after ${seconds} s.` };
    if (seconds >= input.timeoutSeconds) break;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  const { bytes } = await agent.consoleLog(machine.id, consoleBytes);
  const last = bytes.toString('utf8').trim().split('\n').at(-1) ?? '';
  throw new VirgaError('BackupUnusable', {
    detail: `A machine of the backup did not boot within ${input.timeoutSeconds} s: no guest agent, and no ${JSON.stringify(input.expect)} on its console, which ended with ${JSON.stringify(last.slice(-200))}.`,
    action: 'Restore it as a new instance and look at its screen, or verify it with more time.',
  });
}

async function hasBooted(agent: HostAgent, { id }: DesiredInstance, expected: string): Promise<string | undefined> {
  const answers = await agent.guestInfo(id).then(
    () => true,
    () => false,
  );
  if (answers) return 'its guest agent answered';
  const { bytes } = await agent.consoleLog(id, consoleBytes);
  return bytes.toString('utf8').includes(expected) ? `it printed ${JSON.stringify(expected)}` : undefined;
}

/** It is in no book of placement, so what is really there decides. */
async function requireMemory(agent: HostAgent, { memoryMib }: DesiredInstance): Promise<void> {
  const { memoryAvailableMib: availableMib = Number.POSITIVE_INFINITY } = await agent.facts();
  if (availableMib > memoryMib) return;
  throw new VirgaError('NoCapacity', {
    detail: `The host has ${availableMib} MiB of memory left; the machine of the test needs ${memoryMib} MiB.`,
    action: 'Verify the backup without booting it, or when the host has room.',
  });
}

function machineOf(
  { cloudId }: Deps,
  input: Input,
  { machine, disks, project_id: projectId }: BackupRow,
): DesiredInstance {
  const root = disks.find(({ role }) => role === 'root')!;
  return {
    ...instanceDefaults,
    ...identityOf(cloudId, input),
    projectId,
    name: 'restore-test',
    generation: 1,
    ...{ vcpus: machine.vcpus, maxVcpus: machine.vcpus, memoryMib: machine.memoryMib, maxMemoryMib: machine.memoryMib },
    ...{ hardware: machine.hardware, firmware: machine.firmware, tpm: machine.tpm, bootOrder: ['disk'] },
    rootDisk: {
      ...{ id: root.id, imageId: null, sizeBytes: root.sizeBytes },
      restored: { id: input.restoreId, disk: root.id },
    },
    seed: { hostName: machine.guestHostName, publicKeys: [], userData: null },
    power: { state: 'running' },
    reboot: null,
  };
}

const identityOf = (cloudId: string, { instanceId }: Input) => ({
  ...{ id: instanceId, cloudId: restoreTestCloud(cloudId), uuid: uuidOf(instanceId) },
  domainName: `restore-test-${instanceId}`,
  nics: [],
});

async function cleanUp({ deps, input }: ActContext<Input>): Promise<void> {
  const { agent } = await hostOf(deps, input);
  await agent.deleteInstance(identityOf(deps.cloudId, input));
  await agent.endRestore({ id: input.restoreId, cloudId: deps.cloudId });
}

async function hostOf(deps: Deps, { backupId }: Input): Promise<{ row: BackupRow; agent: HostAgent }> {
  const row = await findBackup(deps.db, backupId);
  if (row === undefined) throw new Error(`backup ${backupId} has no row`);
  return { row, agent: deps.agents.agentOf(await restoreHost(deps.db, row)) };
}
