// What the networks of an instance must be before and after it starts: running, and with a lease for each of its cards.
// Registers how to take back what it makes; the entries themselves are networks/leases.ts.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { releaseFormerHolders } from '../networks/former-holders.ts';
import { addLease, hasLease, removeLeases } from '../networks/leases.ts';
import type { Survey } from './instance-survey.ts';

/** Networks that somebody stopped. A domain does not start without. */
export async function startNetworks(context: AgentContext, { networks }: Survey): Promise<void> {
  for (const { ref, running } of networks.values()) {
    if (running !== undefined) continue;
    await context.hypervisor.act(`start the network ${ref.name}`, (connection) =>
      tolerate(connection.networks.create(ref), 'OPERATION_INVALID'),
    );
  }
}

export async function prepareLeases(
  context: AgentContext,
  desired: DesiredInstance,
  { networks }: Survey,
  undo: UndoStack,
): Promise<void> {
  for (const nic of desired.nics) {
    const seen = networks.get(nic.networkId)!;
    if (hasLease(seen, nic)) {
      // An earlier call may have ended between the two.
      await context.hypervisor.act(`see to the lease of ${nic.address}`, (connection) =>
        releaseFormerHolders(connection, seen, nic),
      );
      continue;
    }
    await context.locks.run(nic.networkId, async () => {
      await context.hook('lease', desired.id);
      undo.add('lease', () =>
        context.hypervisor.act('take a lease away', (connection) =>
          removeLeases(connection, context.networkNames, [nic]),
        ),
      );
      await context.hypervisor.act(`lease ${nic.address} to ${desired.domainName}`, async (connection) => {
        // Read again: others had the lock meanwhile.
        const found = await context.networkNames.find(connection, nic.networkId);
        if (found !== undefined) await addLease(connection, found, nic, desired.seed.hostName);
      });
    });
  }
}
