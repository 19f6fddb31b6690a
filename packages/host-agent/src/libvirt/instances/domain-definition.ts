// The permanent half of a domain: its definition, written whole from the desired instance, and its removal with all that
// libvirt keeps beside it. Starts and stops nothing.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { withOverlay } from '../definitions/effective-definition.ts';
import { layeredSource } from '../disks/disk-layers.ts';
import { type DiskSource, sharedSource } from '../disks/disk-source.ts';
import { hostChoices } from '../host/host-choices.ts';
import { tolerate } from '../hypervisor-errors.ts';
import type { StoredImage } from '../images/image-store.ts';
import { canDirectIo } from '../pools/drivers.ts';
import { cephPoolOf, cephRootSource } from '../pools/rbd-root-disk.ts';
import type { Storage } from '../storage.ts';
import { volumeSources } from '../volumes/volume-folder.ts';
import { recordOf } from './domain-metadata.ts';
import { domainXml } from './domain-xml.ts';
import { instanceFiles } from './instance-folder.ts';
import type { Survey } from './instance-survey.ts';
import { isOff } from './power.ts';
import type { BaseImage } from './root-disk.ts';
import { eraseTpm } from './tpm-state.ts';

/** What must go with a definition. */
const everything = { managedSave: true, snapshotsMetadata: true, checkpointsMetadata: true, nvram: true };
/** Of a domain that was somebody else's, the files stay. libvirt undefines none with a saved memory, which is worth nothing without it. */
const adopted = { managedSave: true, snapshotsMetadata: true, checkpointsMetadata: true, keepNvram: true };

type BaseFiles = { image: BaseImage | null; disc: StoredImage | null };

/** What a domain is to be, without the overlay of its instance. */
export async function generateDefinition(
  context: AgentContext,
  desired: DesiredInstance,
  { domain, networks }: Survey,
  { image, disc }: BaseFiles,
  rebootToken: string | null = domain?.record.rebootToken ?? null,
): Promise<string> {
  const files = instanceFiles(context.storage, desired.id);
  return domainXml({
    // One that is on, or has its memory saved, keeps its name until it is off.
    desired: { ...desired, domainName: domain?.ref.name ?? desired.domainName },
    record: recordOf(desired, rebootToken),
    files,
    rootDisk: await rootSource(context.storage, desired, files.rootDisk, image),
    volumes: await volumeSources(context.storage, desired.volumes),
    disc: disc?.path ?? null,
    networkNames: new Map([...networks].map(([id, { ref }]) => [id, ref.name])),
    host: await hostChoices(context),
  });
}

async function rootSource(
  storage: Storage,
  { rootDisk }: DesiredInstance,
  firstFile: string,
  image: BaseImage | null,
): Promise<DiskSource> {
  const ceph = await cephPoolOf(storage, rootDisk);
  if (ceph !== undefined) return cephRootSource(ceph, rootDisk);
  return {
    ...(await layeredSource(firstFile, image === null ? undefined : sharedSource(image))),
    ...(rootDisk.pool && { directIo: await canDirectIo(storage, rootDisk.pool) }),
  };
}

/** Defines a domain, or defines it anew; one that runs is not interrupted. */
export async function define(
  context: AgentContext,
  desired: DesiredInstance,
  survey: Survey,
  files: BaseFiles,
  undo: UndoStack,
): Promise<DomainRef> {
  const { domain } = survey;
  const isOn = domain !== undefined && !isOff(domain);
  // To start, or to be off, is as good as to reboot.
  const rebootToken = isOn ? domain.record.rebootToken : (desired.reboot?.token ?? null);
  const name = domain?.ref.name ?? desired.domainName;
  const generated = await generateDefinition(context, desired, survey, files, rebootToken);
  const { xml, conflicts } = withOverlay(generated, desired.overlay);
  if (conflicts.length > 0) context.log.warn({ instance: desired.id, conflicts }, 'parts of an overlay have no place');
  await context.hook('define', desired.id);
  if (!isOn) await eraseTpm(desired);
  const { uuid } = desired;
  if (domain === undefined) undo.add('definition', () => undefine(context, { name, uuid, id: -1 }));
  return context.hypervisor.act(`define ${name}`, ({ domains }) => domains.defineXml(xml));
}

/** Removes a definition; of an adopted domain nothing else that can be kept. One that is gone is no error. */
export async function undefine(
  { hypervisor }: AgentContext,
  ref: DomainRef,
  origin: DesiredInstance['origin'] = 'launched',
): Promise<void> {
  await hypervisor.act(`undefine ${ref.name}`, async ({ domains }) => {
    const hasTpm = async () => (await domains.xml(ref, { inactive: true })).includes('<tpm ');
    const what = origin === 'adopted' ? { ...adopted, keepTpm: await hasTpm() } : everything;
    await tolerate(domains.undefine(ref, what), 'NO_DOMAIN');
  });
}
