// The disc in the drive of a domain that runs: inserted, changed, ejected while it does. A guest can lock the tray; then the
// disc stays where it is unless it was asked for by force. A domain without a drive gets one when it starts again.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { LibvirtError } from '@virga/libvirt/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';
import { cdromAlias, cdromElement } from './hardware-xml.ts';
import type { DiskPlace } from './machine-profile.ts';

type SeenDrive = { place: DiskPlace; disc: string | null; bootOrder: number | undefined };

/**
 * @param inDefinition changes the definition too, which has the drive and is not written anew
 * @returns why it is not done: the guest keeps the disc
 */
export async function convergeDisc(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  disc: string | null,
  { inDefinition = false }: { inDefinition?: boolean } = {},
): Promise<VirgaError | undefined> {
  const drive = await context.hypervisor.ask(`look at ${ref.name}`, async ({ domains }) =>
    readDrive(await domains.xml(ref)),
  );
  if (drive === undefined || drive.disc === disc) return undefined;
  const xml = cdromElement(drive.place, disc, drive.bootOrder);
  const force = desired.cdrom?.forced === true;
  await context.hook('change-disc', desired.id);
  return context.hypervisor.act(`change the disc of ${ref.name}`, async ({ domains }) => {
    try {
      await domains.updateDevice(ref, xml, { live: true, config: inDefinition, force });
      return undefined;
    } catch (error) {
      if (!(error instanceof LibvirtError) || drive.disc === null) throw error;
      // libvirt has one code for all that QEMU refuses: whether the disc is still there tells.
      const now = readDrive(await domains.xml(ref));
      if (now?.disc !== drive.disc) throw error;
      return trayLocked(desired, error);
    }
  });
}

function readDrive(xml: string): SeenDrive | undefined {
  const drive = childrenOf(childAt(parseXml(xml), 'devices'), 'disk').find(
    (disk) => childAt(disk, 'alias')?.attributes.name === cdromAlias,
  );
  if (drive === undefined) return undefined;
  const { dev = '', bus = '' } = childAt(drive, 'target')?.attributes ?? {};
  const order = childAt(drive, 'boot')?.attributes.order;
  return {
    place: { dev, bus: bus as DiskPlace['bus'] },
    disc: childAt(drive, 'source')?.attributes.file ?? null,
    bootOrder: order === undefined ? undefined : Number(order),
  };
}

const trayLocked = ({ name }: DesiredInstance, cause: unknown) =>
  new VirgaError('GuestUnavailable', {
    detail: `The guest of ${name} has locked the tray of its CD-ROM drive, and keeps the disc.`,
    action: 'Eject it in the guest, or open the tray with --force; the guest is asked again meanwhile.',
    cause,
  });
