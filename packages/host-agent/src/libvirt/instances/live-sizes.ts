// Sizes of a domain that is on: vCPUs, memory, root disk. Does what host and guest can do without a restart and leaves the
// rest to the next start, which is from a fresh definition. What was applied last is in the record of the running domain,
// and is written after this; so a call that was cut short is gone on with by the next.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { AgentContext } from '../agent-context.ts';
import { growFileSystem, useMemory, useVcpus } from '../guest/guest-growth.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { childAt, childrenOf, element, parseXml, type XmlElement } from '../xml.ts';
import { growRunningDisk } from './disk-growth.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { memoryDevice, roomAlias, wholeBlocks } from './domain-sizes.ts';
import { dueReboot } from './reboot.ts';

const kibPerMib = 1024;
/** It has no ACPI that would hear of it, says no, or says nothing. */
const unwillingGuest = ['INTERNAL_ERROR', 'OPERATION_FAILED', 'OPERATION_TIMEOUT'] as const;

/** @returns what the guest was asked for in vain, each one sentence */
export async function convergeSizes(
  context: AgentContext,
  desired: DesiredInstance,
  { ref, record }: OwnDomain,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  // It is about to be started anew.
  if (dueReboot(desired, { record })?.how === 'cycle') return [];
  const { vcpus, memoryMib, rootDisk } = record.desired;
  const notes: (string | undefined)[] = [];
  if (desired.vcpus !== vcpus) notes.push(await convergeVcpus(context, desired, ref, signal));
  if (desired.memoryMib !== memoryMib) {
    const outcome = await convergeMemory(context, desired, ref);
    notes.push(outcome === 'grown' ? await useMemory(context, desired.id, signal) : noteOf[outcome]);
  }
  if (desired.rootDisk.sizeBytes > rootDisk.sizeBytes) {
    await growRunningDisk(context, desired, ref);
    notes.push(await growFileSystem(context, desired.id, signal));
  }
  return notes.filter((note) => note !== undefined);
}

/** @returns what the guest was asked for in vain */
async function convergeVcpus(
  context: AgentContext,
  desired: DesiredInstance,
  ref: OwnDomain['ref'],
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { hypervisor, accelerator, hook } = context;
  const [present, maximum] = await hypervisor.ask(`count the vCPUs of ${ref.name}`, ({ domains }) =>
    Promise.all([domains.getVcpus(ref, { live: true }), domains.getVcpus(ref, { live: true, maximum: true })]),
  );
  const wanted = Math.min(desired.vcpus, maximum);
  const set = () =>
    hypervisor.act(`set the vCPUs of ${ref.name}`, async ({ domains }) => {
      try {
        await domains.setVcpus(ref, wanted, { live: true });
      } catch (error) {
        if (wanted > present || !isLibvirtError(error, ...unwillingGuest)) throw error;
        return 'The guest did not let go of its vCPUs; it has fewer when it is started again.';
      }
    });
  if (wanted < present) {
    // An emulated guest takes its vCPU out for ever, and QEMU dies of the next one that is plugged in.
    if ((await accelerator.acceleration()).mode === 'tcg') return undefined;
    await hook('vcpus', desired.id);
    return set();
  }
  if (wanted > present) {
    await hook('vcpus', desired.id);
    await set();
  }
  // Also when an earlier call came as far as here.
  return useVcpus(context, desired.id, signal);
}

const noteOf = {
  shrunk: undefined,
  kept: 'The guest has no balloon that could give memory back; it has less when it is started again.',
} as const;

/** Memory above what the guest booted with is of the virtio-mem device; below that, the balloon takes it back. */
async function convergeMemory(
  context: AgentContext,
  desired: DesiredInstance,
  ref: OwnDomain['ref'],
): Promise<'grown' | 'shrunk' | 'kept'> {
  const { hypervisor, hook } = context;
  const xml = parseXml(await hypervisor.ask(`look at ${ref.name}`, ({ domains }) => domains.xml(ref)));
  const room = findRoom(xml);
  const bootedMib = Math.floor(mibAt(xml, 'memory') - (room?.sizeMib ?? 0));
  const balloonMib = Math.min(desired.memoryMib, bootedMib);
  const presentMib = mibAt(xml, 'currentMemory') - (room?.currentMib ?? 0);
  const requestedMib = Math.min(wholeBlocks(desired.memoryMib - bootedMib), room?.sizeMib ?? 0);
  const isRequested = requestedMib === (room?.requestedMib ?? 0);
  // Nor is there one for what began as a copy of a running guest.
  const hasBalloon = childAt(childAt(xml, 'devices'), 'memballoon')?.attributes.model === 'virtio';
  if (!hasBalloon && presentMib !== balloonMib) return 'kept';
  if (!isRequested || presentMib !== balloonMib) {
    await hook('memory', desired.id);
    await hypervisor.act(`set the memory of ${ref.name}`, async ({ domains }) => {
      if (!isRequested && room !== undefined) await domains.updateDevice(ref, room.xml(requestedMib), { live: true });
      if (presentMib !== balloonMib) await domains.setMemory(ref, balloonMib * kibPerMib, { live: true });
    });
  }
  // Also when an earlier call came as far as here.
  return requestedMib > 0 && requestedMib >= (room?.requestedMib ?? 0) ? 'grown' : 'shrunk';
}

type Room = { sizeMib: number; requestedMib: number; currentMib: number; xml: (requestedMib: number) => string };

function findRoom(domain: XmlElement): Room | undefined {
  const device = childrenOf(childAt(domain, 'devices'), 'memory').find(
    (memory) => childAt(memory, 'alias')?.attributes.name === roomAlias,
  );
  const target = childAt(device, 'target');
  if (device === undefined || target === undefined) return undefined;
  const sizeMib = mibAt(target, 'size');
  // libvirt finds the device by its place on the bus.
  const address = element('address', childAt(device, 'address')?.attributes ?? {});
  return {
    sizeMib,
    requestedMib: mibAt(target, 'requested'),
    currentMib: mibAt(target, 'current'),
    xml: (requestedMib) => memoryDevice({ sizeMib, requestedMib, address }),
  };
}

/** libvirt writes sizes in KiB. */
const mibAt = (parent: XmlElement, name: string): number => Number(childAt(parent, name)?.text ?? 0) / kibPerMib;
