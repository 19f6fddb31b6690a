// An instance whose domain was somebody else's. It is taken over by a mark in its metadata, while it runs or not, and then
// only its power, its name and its leases are ours: definition and disks stay as they came. Nothing here makes or removes a
// disk. A definition that was taken away comes back as it was remembered.
import { isDeepStrictEqual } from 'node:util';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { withMark, withName, withOverlay } from '../definitions/effective-definition.ts';
import {
  type DefinitionWriting,
  lastDefinition,
  originalDefinition,
  readDefinition,
  rememberOriginal,
} from '../definitions/remembered-definition.ts';
import { storageError } from '../storage.ts';
import { lookAt, type OwnDomain } from './domain-lookup.ts';
import { domainNamespace, domainPrefix, metadataElement, recordOf } from './domain-metadata.ts';
import { renameDomain } from './domain-rename.ts';
import { isMarked } from './foreign-domains.ts';
import { createFolder, removeFolder } from './instance-folder.ts';
import { prepareLeases, startNetworks } from './instance-networks.ts';
import { requireNetworks, type Survey } from './instance-survey.ts';
import { pinAdopted } from './live-cpu.ts';
import { convergeOff, convergePower, isOff, isToBeOn, start } from './power.ts';

export async function convergeAdopted(
  context: AgentContext,
  desired: DesiredInstance,
  survey: Survey,
  undo: UndoStack,
  { signal, onProgress, onWritten }: CallContext & DefinitionWriting,
): Promise<'done' | 'again'> {
  requireNetworks(desired, survey);
  const found = survey.domain ?? (await takeOver(context, desired, survey, undo));
  signal?.throwIfAborted();
  await prepareFolder(context, desired, survey);
  const isOn = !isOff(found);
  const domain = isOn ? found : await convergeOff(context, desired, found);
  if (!domain.isPersistent) await defineAgain(context, desired, domain);
  await rememberOriginal(context, desired.id, domain.ref);
  if (isToBeDefined(desired, domain.record.desired)) await defineWithOverlay(context, desired, domain);
  if (domain.record.generation < desired.generation || !domain.isPersistent) {
    await mark(context, desired, domain, isOn ? domain.record.rebootToken : (desired.reboot?.token ?? null));
    await onWritten(domain.ref);
  } else if (survey.domain === undefined) await onWritten(domain.ref);
  const { ref } = await renameDomain(context, desired, domain, undo);
  if (desired.nics.length > 0) await startNetworks(context, survey);
  await prepareLeases(context, desired, survey, undo);
  onProgress?.('looking after power', 50);
  if (isOn) return (await convergePower(context, desired, domain)) === 'cut-off' ? 'again' : 'done';
  if (isToBeOn(desired)) {
    await start(context, desired, ref, domain);
    await pinAdopted(context, desired, ref);
  }
  return 'done';
}

/**
 * Marks a domain as this instance.
 * @throws HypervisorRefused it is gone | Conflict it is transient, or another cloud's
 */
async function takeOver(
  context: AgentContext,
  desired: DesiredInstance,
  { foreign, owner }: Survey,
  undo: UndoStack,
): Promise<OwnDomain> {
  if (foreign === undefined) return recreate(context, desired, owner !== undefined);
  const isTaken = await context.hypervisor.ask(`look at ${foreign.ref.name}`, (connection) =>
    isMarked(connection, foreign.ref),
  );
  if (isTaken) throw anothers(desired);
  if (!foreign.isPersistent) throw transient(desired);
  const record = recordOf(desired, desired.reboot?.token ?? null);
  const own = { ...foreign, record };
  if (owner === undefined) undo.add('adoption', () => unmark(context, own));
  await mark(context, desired, own, record.rebootToken, 'adopt');
  return own;
}

/** A definition that was taken away, from how it was remembered. */
async function recreate(context: AgentContext, desired: DesiredInstance, wasOurs: boolean): Promise<OwnDomain> {
  const xml = wasOurs ? await lastDefinition(context.storage, desired.id) : undefined;
  if (xml === undefined) throw gone(desired);
  await context.hook('define', desired.id);
  return context.hypervisor.act(`define ${desired.domainName}`, async (connection) => {
    await connection.domains.defineXml(xml);
    const domain = await lookAt(connection, desired.uuid);
    if (domain?.record === undefined) throw gone(desired);
    return domain as OwnDomain;
  });
}

/** It runs, but would be gone once it stops. What it would have been is what it still is. */
async function defineAgain(context: AgentContext, desired: DesiredInstance, { ref }: OwnDomain): Promise<void> {
  await context.hook('define', desired.id);
  const remembered = await lastDefinition(context.storage, desired.id);
  await context.hypervisor.act(`define ${ref.name}`, async (connection: Connection) => {
    await connection.domains.defineXml(remembered ?? (await readDefinition(connection, ref)));
  });
}

/** Its definition is written only for what was asked to be different, or was decided about. */
const isToBeDefined = (desired: DesiredInstance, applied: DesiredInstance): boolean =>
  !isDeepStrictEqual(desired.overlay, applied.overlay) ||
  (desired.settledDrift !== undefined && desired.settledDrift !== applied.settledDrift);

async function defineWithOverlay(context: AgentContext, desired: DesiredInstance, domain: OwnDomain): Promise<void> {
  const original = await originalDefinition(context.storage, desired.id);
  if (original === undefined) return;
  const { xml } = withOverlay(withName(original, domain.ref.name), desired.overlay);
  await context.hook('define', desired.id);
  await context.hypervisor.act(`define ${domain.ref.name}`, ({ domains }) =>
    domains.defineXml(withMark(xml, domain.record)),
  );
}

async function prepareFolder(context: AgentContext, desired: DesiredInstance, { owner }: Survey): Promise<void> {
  if (owner !== undefined) return;
  const { id, cloudId, uuid, domainName } = desired;
  await context.hook('folder', id);
  try {
    await createFolder(context.storage, { id, cloudId, uuid, domainName, imageId: null, adopted: true });
  } catch (error) {
    throw storageError(error, context.storage, 'make a folder');
  }
}

async function mark(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
  rebootToken: string | null,
  step = 'metadata',
): Promise<void> {
  const xml = metadataElement(recordOf(desired, rebootToken));
  await context.hook(step, desired.id);
  await context.hypervisor.act(`describe ${desired.domainName}`, ({ domains }) =>
    domains.setMetadata(
      domain.ref,
      { uri: domainNamespace, key: domainPrefix, xml },
      { live: !isOff(domain), config: true },
    ),
  );
}

async function unmark(context: AgentContext, domain: OwnDomain): Promise<void> {
  const { id, cloudId } = domain.record.desired;
  await context.hypervisor.act(`release ${domain.ref.name}`, ({ domains }) =>
    domains.setMetadata(
      domain.ref,
      { uri: domainNamespace, key: domainPrefix, xml: null },
      { live: !isOff(domain), config: true },
    ),
  );
  await removeFolder(context.storage, { id, cloudId });
}

const gone = ({ domainName, uuid }: DesiredInstance) =>
  new VirgaError('HypervisorRefused', {
    detail: `The domain ${domainName} (${uuid}) is no longer on the host.`,
    action: 'Define it again with virsh define, or delete the instance.',
  });

const anothers = ({ domainName }: DesiredInstance) =>
  new VirgaError('Conflict', {
    detail: `The domain ${domainName} is an instance of another cloud.`,
    action: 'Release it there first: virga release NAME.',
  });

const transient = ({ domainName }: DesiredInstance) =>
  new VirgaError('Conflict', {
    detail: `The domain ${domainName} is transient: it runs, but is not defined, and is gone once it stops.`,
    action: 'Define it first: virsh dumpxml NAME > NAME.xml && virsh define NAME.xml',
  });
