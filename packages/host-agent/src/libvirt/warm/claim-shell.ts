// Turns a shell into its instance: its seed, its time, its random numbers, its keys; then it is defined, and only then it gets
// network cards. Whatever goes wrong before it has become the instance is taken back whole, and the instance begins cold; a
// crash is the same, found by what the domain says of itself. Nobody can have reached it until then: it has no card.
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { TemplateId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { readWritten, rememberDefinition } from '../definitions/remembered-definition.ts';
import { hostChoices } from '../host/host-choices.ts';
import { isInterruption } from '../hypervisor-errors.ts';
import { requireImage } from '../images/image-store.ts';
import { define } from '../instances/domain-definition.ts';
import { lookAt } from '../instances/domain-lookup.ts';
import { domainNamespace, domainPrefix, metadataElement, recordOf } from '../instances/domain-metadata.ts';
import { networkCard } from '../instances/domain-xml.ts';
import { instanceFiles, readOwner, rewriteOwner } from '../instances/instance-folder.ts';
import { startNetworks } from '../instances/instance-networks.ts';
import { requireNetworks, type Survey } from '../instances/instance-survey.ts';
import { fillSeed } from './blank-seed.ts';
import { becomeInstance } from './fork-identity.ts';
import { writeShellRecord } from './shell-record.ts';
import { discardShell, type FoundShell, findShell, makeShell } from './shells.ts';
import { readTemplate, templateDisk, templateMissing } from './template-store.ts';

/**
 * Begins an instance as a copy, when it may and has not begun yet. Whatever the outcome, it can be gone on with as with any
 * instance: it runs, or nothing of it is there. Throws only what interrupts.
 * @returns the instance; without `warm` when it is no copy
 */
export async function beginWarm(
  context: AgentContext,
  desired: DesiredInstance,
  call: CallContext,
): Promise<DesiredInstance> {
  if (desired.warm === undefined) return desired;
  await begin(context, desired, call);
  if ((await readOwner(context.storage, desired.id))?.templateId !== undefined) return desired;
  const { warm: _, ...cold } = desired;
  return cold;
}

async function begin(
  context: AgentContext,
  desired: DesiredInstance,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const found = await findShell(context, desired);
  if (found !== undefined && (await isInstance(context, desired))) return finish(context, found);
  const owner = await readOwner(context.storage, desired.id);
  const hasBegun = owner !== undefined && !owner.shell && found === undefined;
  if (hasBegun || (await isInstance(context, desired))) return;
  const { warm } = desired;
  try {
    if (warm === undefined || desired.power.state !== 'running') return await discardShell(context, desired);
    onProgress?.('copying a guest', 20);
    const shell = await readyShell(context, desired, warm.templateId, found, { signal });
    await claim(context, desired, shell, signal);
    onProgress?.('the copy has its identity', 80);
  } catch (error) {
    if (signal?.aborted || isInterruption(error)) throw error;
    // It is the instance already: what is missing is done as for any.
    if (await isInstance(context, desired)) return;
    context.log.warn({ err: error, instance: desired.id }, 'a copy failed; the instance begins cold');
    await discardShell(context, desired);
  }
}

const isInstance = (context: AgentContext, { uuid, id }: DesiredInstance): Promise<boolean> =>
  context.hypervisor.ask('look at the domain', async (connection) => {
    const domain = await lookAt(connection, uuid);
    return domain?.record?.instanceId === id;
  });

/** The shell that waits, or one that is made now. One that has begun to run and did not get to be an instance is of no use. */
async function readyShell(
  context: AgentContext,
  { id, cloudId, uuid, domainName }: DesiredInstance,
  templateId: TemplateId,
  found: FoundShell | undefined,
  call: CallContext,
): Promise<FoundShell> {
  const shell = { id, cloudId, uuid, domainName, templateId };
  if (found?.record.phase === 'waiting' && found.record.templateId === templateId) return found;
  await discardShell(context, shell);
  await makeShell(context, shell, call);
  const made = await findShell(context, shell);
  if (made === undefined) throw templateMissing(templateId);
  return made;
}

async function claim(
  context: AgentContext,
  desired: DesiredInstance,
  { ref, record }: FoundShell,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { storage, hypervisor, hook } = context;
  const [networks, image, owner, template, host] = await Promise.all([
    findNetworks(context, desired),
    requireImage(storage, desired),
    readOwner(storage, desired.id),
    readTemplate(storage, record.templateId),
    hostChoices(context),
  ]);
  if (image === null || owner === undefined || template === undefined) throw templateMissing(record.templateId);
  if (template.vcpus !== desired.vcpus || template.memoryMib !== desired.memoryMib)
    throw templateMissing(record.templateId);
  requireNetworks(desired, { domain: undefined, owner, networks });
  await startNetworks(context, { domain: undefined, owner, networks });
  const files = instanceFiles(storage, desired.id);
  const { shell: _, ...own } = owner;

  await hook('warm-take', desired.id);
  await Promise.all([
    hypervisor.act(`take ${ref.name}`, (connection) =>
      writeShellRecord(connection, ref, { ...record, phase: 'taken' }),
    ),
    fillSeed(files.seed, desired, signal),
  ]);
  signal?.throwIfAborted();
  await hook('warm-resume', desired.id);
  await hypervisor.reach(`wake ${ref.name}`, async (connection) => {
    await connection.domains.resume(ref);
    await becomeInstance(connection, ref, desired, networks, signal);
  });
  await hook('warm-define', desired.id);
  const base = await templateDisk(storage, { id: record.templateId, cloudId: desired.cloudId }, image);
  const seen = await hypervisor.ask(`look at ${ref.name}`, (connection) => lookAt(connection, desired.uuid));
  if (seen === undefined) throw templateMissing(record.templateId);
  const says = recordOf(desired, desired.reboot?.token ?? null);
  const survey = { domain: { ...seen, record: says }, owner, networks };
  await Promise.all([
    define(context, desired, survey, { image: base, disc: null }, new UndoStack()),
    rewriteOwner(storage, own),
  ]);
  await hook('warm-record', desired.id);
  await hypervisor.act(`describe ${ref.name}`, async ({ domains }) => {
    const metadata = { uri: domainNamespace, key: domainPrefix, xml: metadataElement(says) };
    await domains.setMetadata(ref, metadata, { live: true });
  });
  // From here on it is the instance, and what is missing is done as for any.
  await hook('warm-card', desired.id);
  const networkNames = new Map([...networks].map(([id, found]) => [id, found.ref.name]));
  await Promise.all([
    hypervisor.act(`plug cards into ${ref.name}`, async ({ domains }) => {
      for (const nic of desired.nics) {
        await domains.attachDevice(ref, networkCard(nic, { desired, networkNames, host }), { live: true });
      }
      await domains.setLabel(ref, 'title', desired.name, { live: true });
    }),
    readWritten(context, ref).then((written) => rememberDefinition(context, desired.id, written)),
  ]);
  await finish(context, { ref, record });
}

async function finish({ hypervisor, hook }: AgentContext, { ref, record }: FoundShell): Promise<void> {
  await hook('warm-finish', record.instanceId ?? record.templateId);
  await hypervisor.act(`finish ${ref.name}`, (connection) => writeShellRecord(connection, ref, null));
}

async function findNetworks(context: AgentContext, { nics }: DesiredInstance): Promise<Survey['networks']> {
  const ids = [...new Set(nics.map(({ networkId }) => networkId))];
  const found = await context.hypervisor.ask('look at the networks', (connection: Connection) =>
    Promise.all(ids.map((id) => context.networkNames.find(connection, id))),
  );
  return new Map(ids.flatMap((id, index) => (found[index] === undefined ? [] : [[id, found[index]]])));
}
