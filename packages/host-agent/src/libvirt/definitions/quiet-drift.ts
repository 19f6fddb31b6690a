// Changes of definitions that libvirt makes no event of, such as those of `virsh attach-device --config`. Found by the time of
// libvirt's own file, so that nothing is asked about a domain whose definition nobody has written. Where that file is not
// where a system's libvirt has it, such changes are found when we write next.
import { stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObservedDrift } from '@virga/contract/agent/definition';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { lookAt, type OwnDomain } from '../instances/domain-lookup.ts';
import { listSeenInstances } from '../instances/observed-instance.ts';
import { settleMoves } from '../moves/move-definition.ts';
import { findDrift } from './drift.ts';
import { definitionPath } from './remembered-definition.ts';

const definitionsFolder = '/etc/libvirt/qemu';

export async function findDrifts(
  context: AgentContext,
  cloudId: string,
): Promise<{ id: InstanceId; drift: ObservedDrift }[]> {
  const seen = await context.hypervisor.ask('list the domains', (connection) =>
    listSeenInstances(context, connection, cloudId),
  );
  const found: { id: InstanceId; drift: ObservedDrift }[] = [];
  for (const { instance, uuid } of seen) {
    const path = definitionPath(context.storage, instance.id);
    const [theirs, ours] = await Promise.all([
      writtenAt(join(definitionsFolder, `${instance.domainName}.xml`)),
      writtenAt(path),
    ]);
    if (uuid === undefined || theirs === undefined || ours === undefined || theirs <= ours) continue;
    const drift = await context.locks.run(instance.id, async () => {
      const domain = await context.hypervisor.ask(`look at ${instance.domainName}`, (connection) =>
        lookAt(connection, uuid),
      );
      if (domain?.record?.cloudId !== cloudId) return undefined;
      await settleMoves(context, domain as OwnDomain);
      const difference = await findDrift(context, domain as OwnDomain);
      // So that it is not compared again before it is written again, which may be now.
      const comparedAt = new Date(Math.ceil(theirs));
      if (difference === undefined) await utimes(path, comparedAt, comparedAt);
      return difference;
    });
    if (drift !== undefined) found.push({ id: instance.id, drift });
  }
  return found;
}

const writtenAt = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
