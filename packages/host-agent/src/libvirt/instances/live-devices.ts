// Volumes, cards and limits of a domain that runs: brought to what is desired while it does. Owns the order, first out and
// then in, because places are used again. A guest lets go of a device in its own time or not at all: then the device stays
// where it is, and the next call asks again. The definition is written whole elsewhere.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { LibvirtError } from '@virga/libvirt/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { hostArchitecture } from '../host/architecture.ts';
import { hostChoices } from '../host/host-choices.ts';
import { volumeSource } from '../volumes/volume-folder.ts';
import { requireVolume } from '../volumes/volumes.ts';
import { deviceAlias, volumeDisk } from './device-xml.ts';
import { threadOfPlace } from './disk-driver-xml.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { networkCard } from './domain-xml.ts';
import { removeGoneLeases } from './gone-devices.ts';
import type { Survey } from './instance-survey.ts';
import { limitDevices } from './live-limits.ts';
import { addThread, removeSpareThreads } from './live-threads.ts';
import { machineProfile, volumePlace } from './machine-profile.ts';
import { requireSeen } from './seen-by-guest.ts';
import { readDevices, type SeenDevices, type SeenNic, type SeenVolume, surplusOf } from './seen-devices.ts';

/** How long a guest may take to let go before others get their turn; after that it is asked again. */
const patienceMs = 8_000;
const lookAgainMs = 100;

/** Does what is asked of the devices of a domain that runs. @returns why it is not all done: the guest keeps a device */
export async function convergeDevices(
  context: AgentContext,
  desired: DesiredInstance,
  { networks }: Pick<Survey, 'networks'>,
  domain: OwnDomain,
  signal: AbortSignal | undefined,
): Promise<VirgaError | undefined> {
  const { ref } = domain;
  const seen = await look(context, ref);
  const surplus = surplusOf(desired, seen);
  const kept = surplus.length === 0 ? [] : await pull(context, desired, ref, surplus, signal);
  const left = desired.nics.concat(
    domain.record.desired.nics.filter(({ id }) => kept.some((device) => device.id === id)),
  );
  await removeGoneLeases(context, { ...desired, nics: left }, domain);
  const { isParavirtual } = machineProfile(desired.hardware, hostArchitecture());
  if (isParavirtual) requirePorts(desired, seen, surplus.length - kept.length);
  const volumes = await plugVolumes(context, desired, ref, seen, kept);
  await removeSpareThreads(context, desired, ref, domain.record.desired);
  const cards = await plugCards(context, desired, ref, { seen, kept, networks });
  await limitDevices(context, desired, ref, volumes + cards === 0 ? seen : await look(context, ref));
  return kept.length > 0 ? guestKeeps(desired, kept) : undefined;
}

const look = ({ hypervisor }: AgentContext, ref: DomainRef): Promise<SeenDevices> =>
  hypervisor.ask(`look at ${ref.name}`, async ({ domains }) => readDevices(await domains.xml(ref)));

/** Asks the guest to let go of devices. @returns those that it keeps */
async function pull(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  surplus: readonly (SeenVolume | SeenNic)[],
  signal: AbortSignal | undefined,
): Promise<(SeenVolume | SeenNic)[]> {
  const { clock } = context;
  for (const { id } of surplus) {
    await context.hook(id.startsWith('vol-') ? 'detach-volume' : 'detach-nic', desired.id);
    await context.hypervisor.act(`take ${id} out of ${ref.name}`, async ({ domains }) => {
      try {
        await domains.detachDeviceByAlias(ref, deviceAlias(id), { live: true });
      } catch (error) {
        // It has gone meanwhile, or the guest is still at it: what counts is whether it is there in the end.
        if (!(error instanceof LibvirtError)) throw error;
        context.log.debug({ err: error, domain: ref.name, device: id }, 'a device was not taken out at once');
      }
    });
  }
  const deadlineMs = clock.now() + patienceMs;
  for (;;) {
    const { volumes, nics } = await look(context, ref);
    const there = new Set<string>([...volumes, ...nics].map(({ id }) => id));
    const kept = surplus.filter(({ id }) => there.has(id));
    if (kept.length === 0 || clock.now() >= deadlineMs) return kept;
    await clock.delay(lookAgainMs, signal);
  }
}

/** @throws HypervisorRefused the guest has no port for them; nothing was plugged */
function requirePorts({ name, volumes, nics }: DesiredInstance, seen: SeenDevices, pulled: number): void {
  const there = new Set<string>([...seen.volumes, ...seen.nics].map(({ id }) => id));
  const missing = [...volumes, ...nics].filter(({ id }) => !there.has(id)).length;
  if (missing <= seen.freePorts + pulled) return;
  throw new VirgaError('HypervisorRefused', {
    detail: `The guest of ${name} has no port left for a device more: it has as many as when it was started.`,
    action: 'Stop the instance and start it: it gets new ones then.',
  });
}

/** One that is refused keeps none of the others out. @returns how many were plugged @throws HypervisorRefused of the first */
async function plugVolumes(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  seen: SeenDevices,
  kept: readonly { id: string }[],
): Promise<number> {
  const { storage, directIo } = context;
  const { hardware } = desired;
  // What is to come back in another way has just been taken out.
  const goes = new Set(surplusOf(desired, seen).map(({ id }) => id));
  const there = new Set<string>([...seen.volumes.filter(({ id }) => !goes.has(id)), ...kept].map(({ id }) => id));
  const missing = desired.volumes.filter(({ id }) => !there.has(id));
  const refused: VirgaError[] = [];
  for (const volume of missing) {
    const plug = async () => {
      await requireVolume(context, desired, volume.id);
      const source = await volumeSource(storage, volume.id);
      await requireSeen(context, ref, source);
      const xml = volumeDisk(volume, source, { directIo, hardware });
      const thread = volume.driver?.ioThread && threadOfPlace(volumePlace(volume, hardware));
      if (thread) await addThread(context, desired, ref, thread);
      await context.hook('attach-volume', desired.id);
      await context.hypervisor.act(`plug ${volume.id} into ${ref.name}`, ({ domains }) =>
        domains.attachDevice(ref, xml, { live: true }),
      );
    };
    await context.locks.run(volume.id, plug).catch((error) => {
      if (!(error instanceof VirgaError) || error.code !== 'HypervisorRefused') throw error;
      refused.push(error);
    });
  }
  if (refused[0]) throw refused[0];
  return missing.length;
}

/** @returns how many were plugged */
async function plugCards(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  { seen, kept, networks }: { seen: SeenDevices; kept: readonly { id: string }[]; networks: Survey['networks'] },
): Promise<number> {
  const there = new Set<string>([...seen.nics, ...kept].map(({ id }) => id));
  const missing = desired.nics.filter(({ id }) => !there.has(id));
  if (missing.length === 0) return 0;
  const networkNames = new Map([...networks].map(([id, network]) => [id, network.ref.name]));
  const host = await hostChoices(context);
  for (const nic of missing) {
    const xml = networkCard(nic, { desired, networkNames, host });
    await context.hook('attach-nic', desired.id);
    await context.hypervisor.act(`plug ${nic.id} into ${ref.name}`, ({ domains }) =>
      domains.attachDevice(ref, xml, { live: true }),
    );
  }
  return missing.length;
}

function guestKeeps({ name }: DesiredInstance, kept: readonly { id: string }[]): VirgaError {
  const ids = kept.map(({ id }) => id).join(', ');
  return new VirgaError('GuestUnavailable', {
    detail: `The guest of ${name} has not let go of ${ids}, and still has it.`,
    action: 'Unmount it in the guest, or stop the instance; the guest is asked again meanwhile.',
  });
}
