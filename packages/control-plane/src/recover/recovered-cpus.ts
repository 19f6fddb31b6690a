// Host CPUs and node of an instance, as its host was last asked for them. One that is off had given them back. Siblings that
// are to stay idle are found once the host has reported its CPUs.
import type { FoundInstance } from '@virga/contract/agent/inventory';
import type { HostId } from '@virga/contract/ids';
import type { Tx } from '../store/database.ts';

export async function recoverCpus(tx: Tx, { desired }: FoundInstance, hostId: HostId): Promise<void> {
  const { hostCpus, node } = desired.cpu;
  const row = { instance_id: desired.id, host_id: hostId };
  if (node !== null) {
    await tx
      .insertInto('instance_nodes')
      .values({ ...row, node })
      .execute();
  }
  if (hostCpus.length === 0) return;
  await tx
    .insertInto('host_cpus')
    .values(hostCpus.map((cpu, vcpu) => ({ ...row, cpu, vcpu })))
    // What two say they have, the first has; the other is moved when it is next asked for something.
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
