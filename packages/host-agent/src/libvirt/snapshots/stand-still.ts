// A guest that stands still for the moment in which several of its disks are taken that no call of libvirt takes together, as
// QEMU lets it stand still for those that one does. That it is for us is written down before, so that nobody takes it for
// somebody's wish, and whoever comes after a crash lets it go on.
import type { AgentContext } from '../agent-context.ts';
import { beginChange, type DiskChange } from '../disks/disk-change.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { isPaused, letGoOn } from '../instances/pausing.ts';

/** One that stands still already stays so. */
export async function whileStill(
  context: AgentContext,
  { ref, record }: OwnDomain,
  change: DiskChange,
  work: () => Promise<void>,
): Promise<void> {
  const { hypervisor, hook, storage } = context;
  const { instanceId } = record;
  const state = await hypervisor.ask(`look at ${ref.name}`, ({ domains }) => domains.state(ref));
  if (isPaused({ state })) return work();
  change.pauses = true;
  await beginChange(storage, instanceId, change);
  await hook('snapshot-pause', instanceId);
  await hypervisor.act(`let ${ref.name} stand still`, ({ domains }) => domains.suspend(ref));
  try {
    await work();
  } finally {
    await hook('snapshot-go-on', instanceId);
    await letGoOn(context, ref);
  }
}
