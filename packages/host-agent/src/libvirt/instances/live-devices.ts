// Volumes, cards and limits of a domain that runs: brought to what is desired while it does. Owns the order, first out and
// then in, because places are used again. A guest lets go of a device in its own time or not at all: then the device stays
// where it is, and the next call asks again. The definition is written whole elsewhere.
import { isDeepStrictEqual } from 'node:util';
import type { DesiredInstance, DesiredNic } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { LibvirtError } from '@virga/libvirt/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { hostChoices } from '../host/host-choices.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { removeLeases } from '../networks/leases.ts';
import { volumeFile } from '../volumes/volume-folder.ts';
import { requireVolume } from '../volumes/volumes.ts';
import { element } from '../xml.ts';
import { bandwidthValues, deviceAlias, diskSerial, ioTuneValues, volumeDisk } from './device-xml.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { networkCard } from './domain-xml.ts';
import type { Survey } from './instance-survey.ts';
import { volumePlace } from './machine-profile.ts';
import { readDevices, type SeenDevices, type SeenNic, type SeenVolume } from './seen-devices.ts';

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
  await plugVolumes(context, desired, ref, seen, kept);
  await plugCards(context, desired, ref, { seen, kept, networks });
  await limit(context, desired, ref);
  return kept.length > 0 ? guestKeeps(desired, kept) : undefined;
}

const look = ({ hypervisor }: AgentContext, ref: DomainRef): Promise<SeenDevices> =>
  hypervisor.ask(`look at ${ref.name}`, async ({ domains }) => readDevices(await domains.xml(ref)));

/** What is to go, or to come back in another way. */
function surplusOf(desired: DesiredInstance, seen: SeenDevices): (SeenVolume | SeenNic)[] {
  const isWanted = ({ id, target, readOnly }: SeenVolume) =>
    desired.volumes.some(
      (volume) =>
        volume.id === id && volumePlace(volume, desired.hardware).dev === target && volume.readOnly === readOnly,
    );
  return [
    ...seen.volumes.filter((volume) => !isWanted(volume)),
    ...seen.nics.filter(({ id }) => !desired.nics.some((nic) => nic.id === id)),
  ];
}

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

async function plugVolumes(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  seen: SeenDevices,
  kept: readonly { id: string }[],
): Promise<void> {
  const { storage, directIo } = context;
  const { hardware } = desired;
  // What is to come back in another way has just been taken out.
  const goes = new Set(surplusOf(desired, seen).map(({ id }) => id));
  const isThere = (id: string) => seen.volumes.some((volume) => volume.id === id) && !goes.has(id as SeenVolume['id']);
  for (const volume of desired.volumes) {
    if (isThere(volume.id) || kept.some(({ id }) => id === volume.id)) continue;
    await context.locks.run(volume.id, async () => {
      await requireVolume(context, desired, volume.id);
      const xml = volumeDisk(volume, volumeFile(storage.volumesPath, volume.id), { directIo, hardware });
      await context.hook('attach-volume', desired.id);
      await context.hypervisor.act(`plug ${volume.id} into ${ref.name}`, ({ domains }) =>
        domains.attachDevice(ref, xml, { live: true }),
      );
    });
  }
}

async function plugCards(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  { seen, kept, networks }: { seen: SeenDevices; kept: readonly { id: string }[]; networks: Survey['networks'] },
): Promise<void> {
  const there = new Set<string>([...seen.nics, ...kept].map(({ id }) => id));
  const missing = desired.nics.filter(({ id }) => !there.has(id));
  if (missing.length === 0) return;
  const networkNames = new Map([...networks].map(([id, network]) => [id, network.ref.name]));
  const host = await hostChoices(context);
  for (const nic of missing) {
    const xml = networkCard(nic, { desired, networkNames, host });
    await context.hook('attach-nic', desired.id);
    await context.hypervisor.act(`plug ${nic.id} into ${ref.name}`, ({ domains }) =>
      domains.attachDevice(ref, xml, { live: true }),
    );
  }
}

async function limit(context: AgentContext, desired: DesiredInstance, ref: DomainRef): Promise<void> {
  const seen = await look(context, ref);
  for (const { id, limits } of [desired.rootDisk, ...desired.volumes]) {
    const target = seen.targets.get(diskSerial(id));
    const wanted = ioTuneValues(limits);
    if (target === undefined || isDeepStrictEqual(seen.ioTunes.get(target), wanted)) continue;
    await context.hook('limit-disk', desired.id);
    await context.hypervisor.act(`limit ${id}`, ({ domains }) =>
      domains.setBlockIoTune(
        ref,
        target,
        {
          totalBytesPerSecond: wanted.total_bytes_sec,
          totalIopsPerSecond: wanted.total_iops_sec,
          totalBytesPerSecondMax: wanted.total_bytes_sec_max,
          totalIopsPerSecondMax: wanted.total_iops_sec_max,
          totalBytesPerSecondMaxSeconds: wanted.total_bytes_sec_max_length,
          totalIopsPerSecondMaxSeconds: wanted.total_iops_sec_max_length,
        },
        { live: true },
      ),
    );
  }
  for (const { id, mac, limits } of desired.nics) {
    const nic = seen.nics.find((one) => one.id === id);
    const wanted = bandwidthValues(limits);
    if (nic === undefined || isDeepStrictEqual(nic.limits, wanted)) continue;
    await context.hook('limit-nic', desired.id);
    await context.hypervisor.act(`limit ${id}`, ({ domains }) =>
      domains.setInterfaceParameters(
        ref,
        mac,
        {
          inboundAverageKibPerSecond: wanted.inbound.average,
          inboundBurstKib: wanted.inbound.burst,
          outboundAverageKibPerSecond: wanted.outbound.average,
          outboundBurstKib: wanted.outbound.burst,
        },
        { live: true },
      ),
    );
  }
}

/** Takes the leases of cards away that the domain had and is no longer to have. */
export async function removeGoneLeases(
  context: AgentContext,
  { id, nics }: Pick<DesiredInstance, 'id' | 'nics'>,
  { record }: Pick<OwnDomain, 'record'>,
): Promise<void> {
  const gone = record.desired.nics.filter((nic: DesiredNic) => !nics.some((one) => one.id === nic.id));
  if (gone.length === 0) return;
  await context.hook('delete-leases', id);
  for (const nic of gone) {
    await context.locks.run(nic.networkId, () =>
      context.hypervisor.act(`take the lease of ${nic.address} away`, (connection) =>
        removeLeases(connection, context.networkNames, [nic]),
      ),
    );
  }
}

/**
 * Takes out of the definition of a domain, which is otherwise left as it is, what it is no longer to have: somebody else
 * may get it.
 */
export async function forgetDevices(context: AgentContext, desired: DesiredInstance, domain: OwnDomain): Promise<void> {
  const { ref } = domain;
  const seen = await context.hypervisor.ask(`look at ${ref.name}`, async ({ domains }) =>
    readDevices(await domains.xml(ref, { inactive: true })),
  );
  for (const device of surplusOf(desired, seen)) {
    await context.hook('forget-device', desired.id);
    await context.hypervisor.act(`take ${device.id} out of the definition of ${ref.name}`, ({ domains }) =>
      tolerate(domains.detachDevice(ref, bareElement(device), { config: true }), 'DEVICE_MISSING'),
    );
  }
  await removeGoneLeases(context, desired, domain);
}

/** As much of a device as libvirt needs to find it. */
function bareElement(device: SeenVolume | SeenNic): string {
  if ('mac' in device) {
    return element(
      'interface',
      { type: 'network' },
      element('mac', { address: device.mac }),
      element('source', { network: '' }),
    );
  }
  return element('disk', { type: 'file', device: 'disk' }, element('target', { dev: device.target }));
}

function guestKeeps({ name }: DesiredInstance, kept: readonly { id: string }[]): VirgaError {
  const ids = kept.map(({ id }) => id).join(', ');
  return new VirgaError('GuestUnavailable', {
    detail: `The guest of ${name} has not let go of ${ids}, and still has it.`,
    action: 'Unmount it in the guest, or stop the instance; the guest is asked again meanwhile.',
  });
}
