// Brings an instance one step nearer to what is desired. Owns the order of the steps, and which of them may go at the same
// time; the steps are their own files'. What a call made that fails for good is taken back; what a lost connection or an
// abort interrupted is left for the next call to go on with.
import type { CallContext } from '@virga/contract/agent/agent';
import type { ObservedDrift } from '@virga/contract/agent/definition';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { pendingDriverNotes } from '../../pending-drivers.ts';
import { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { findDrift } from '../definitions/drift.ts';
import {
  type DefinitionWriting,
  lastDefinition,
  readWritten,
  rememberDefinition,
  type WrittenDefinition,
} from '../definitions/remembered-definition.ts';
import { requireFeatures } from '../host/host-features.ts';
import { requireHugePages } from '../host/huge-pages.ts';
import { requireDrivers } from '../host/required-drivers.ts';
import { isInterruption } from '../hypervisor-errors.ts';
import { settleDisks } from '../snapshots/snapshot-domain.ts';
import { withVolumes } from '../volumes/volumes.ts';
import { beginWarm } from '../warm/claim-shell.ts';
import { convergeAdopted } from './adopted-instance.ts';
import { claimDisc, readClaims, settleClaims } from './disc-claims.ts';
import { convergeDisc } from './disc-drive.ts';
import { define } from './domain-definition.ts';
import { lookAt, type OwnDomain } from './domain-lookup.ts';
import { renameDomain } from './domain-rename.ts';
import { forgetDevices, removeGoneLeases } from './gone-devices.ts';
import { forgetGone } from './gone-elsewhere.ts';
import { prepareDisk, prepareFolder, prepareSeed } from './instance-disks.ts';
import { placedRoot, readOwner } from './instance-folder.ts';
import { prepareLeases, startNetworks } from './instance-networks.ts';
import { requireNetworks, type Survey, surveyInstance } from './instance-survey.ts';
import { convergeCpu, placeStarted, placeWoken } from './live-cpu.ts';
import { convergeDevices } from './live-devices.ts';
import { convergeSizes } from './live-sizes.ts';
import { observeNow } from './observed-instance.ts';
import { convergeOff, convergePower, cutOff, isOff, isToBeOn, start, writeRecord } from './power.ts';

export function applyInstance(
  context: AgentContext,
  asked: DesiredInstance,
  call: CallContext,
): Promise<ObservedInstance> {
  return context.locks.run(asked.id, async () => {
    const { signal } = call;
    signal?.throwIfAborted();
    const begun = await beginWarm(context, asked, call);
    const undo = new UndoStack();
    const notes: string[] = [];
    let drift: ObservedDrift | undefined;
    let hasEnded = false;
    let isRedefined = false;
    let written: WrittenDefinition | undefined;
    const onWritten = async (ref: OwnDomain['ref']) => {
      written = await readWritten(context, ref);
    };
    try {
      // What was cut off to come on again, or may now be renamed, is seen to at once.
      for (let outcome: 'done' | 'again' = 'again'; outcome === 'again'; ) {
        written = undefined;
        const before = await surveyInstance(context, begun);
        // Which files its disks are in may be left half said by a call that was cut short.
        if (begun.origin === 'launched') await settleDisks(context, begun.id, before.domain);
        const survey = { ...before, owner: await readOwner(context.storage, begun.id) };
        const desired = { ...begun, rootDisk: placedRoot(begun.rootDisk, survey.owner) };
        const writes = writesDefinition(desired, survey);
        if (!survey.domain?.isPersistent) {
          isRedefined = (await lastDefinition(context.storage, desired.id)) !== undefined;
        }
        // What somebody has changed is not written over before it has been decided about.
        drift = writes && survey.domain ? await findDrift(context, survey.domain, desired.settledDrift) : undefined;
        if (drift !== undefined) break;
        outcome = await converge(context, desired, survey, undo, { ...call, notes, onWritten }).catch(
          async (error): Promise<'again'> => {
            if (hasEnded || !(await endedMeanwhile(context, desired, survey))) throw error;
            hasEnded = true;
            return 'again';
          },
        );
        // After the start, which does not wait for a disk.
        if (written !== undefined) {
          await rememberDefinition(context, desired.id, written);
          await forgetGone(context.storage, desired.id);
        }
      }
    } catch (error) {
      if (!signal?.aborted && !isInterruption(error)) await undo.unwind(context.log);
      throw error;
    }
    const observed = await context.hypervisor.ask(`look at ${begun.domainName}`, (connection) =>
      observeNow(context, connection, begun),
    );
    return {
      ...observed,
      ...(notes.length > 0 && { notes }),
      ...(drift && { drift }),
      ...(isRedefined && { redefined: true }),
    };
  });
}

/** True when a guest that ran has died while it was worked on: then that is what is wrong, and not what was asked of it. */
async function endedMeanwhile(context: AgentContext, { uuid }: DesiredInstance, { domain }: Survey): Promise<boolean> {
  if (domain === undefined || isOff(domain)) return false;
  const now = await context.hypervisor.ask(`look at ${domain.ref.name}`, (connection) => lookAt(connection, uuid));
  return now !== undefined && isOff({ ...domain, ...now, record: domain.record });
}

/** True when the definition of the domain is going to be written. */
function writesDefinition(desired: DesiredInstance, { domain }: Survey): boolean {
  if (domain === undefined || !domain.isPersistent || domain.record.generation < desired.generation) return true;
  return desired.origin === 'launched' && isToBeOn(desired) && isOff(domain);
}

type Writing = DefinitionWriting & { notes: string[] };

async function converge(
  context: AgentContext,
  desired: DesiredInstance,
  survey: Survey,
  undo: UndoStack,
  { signal, onProgress, notes, onWritten }: CallContext & Writing,
): Promise<'done' | 'again'> {
  if (desired.origin === 'adopted') {
    return convergeAdopted(context, desired, survey, undo, { signal, onProgress, onWritten });
  }
  const { domain: found } = survey;
  const isOn = found !== undefined && !isOff(found);
  const startsNow = isToBeOn(desired) && !isOn;
  if (isOn && found.isPersistent && !isToBeOn(desired)) return turnOff(context, desired, found, onWritten);

  requireNetworks(desired, survey);
  await requireFeatures(context, desired);
  // What goes on with its memory, or has it saved, goes on with the disks that it has.
  const goesOn = isOn || found?.hasSavedMemory ? found?.record.desired : undefined;
  await requireDrivers(context, desired, goesOn);
  if (startsNow) await requireHugePages(context.system, desired);
  onProgress?.('preparing the disk', 10);
  const image = await prepareFolder(context, desired, survey, undo);
  const disc = await claimDisc(context, desired);
  const domain = found && (isOn ? found : await settleOff(context, desired, found, undo));
  const isStale = domain === undefined || !domain.isPersistent || domain.record.generation < desired.generation;
  await allOrError([
    prepareDisk(
      context,
      desired,
      { image, hadDisk: domain !== undefined, startsNow, grows: !isOn && !domain?.hasSavedMemory },
      undo,
      signal,
    ),
    prepareSeed(context, desired, undo, signal),
    startNetworks(context, survey),
  ]);
  signal?.throwIfAborted();
  // Each start is from a fresh definition, so that nothing else decides what runs. Only what has a disk is defined, so a
  // domain without one has lost it.
  const defines = isStale || startsNow;
  const before = startsNow ? (await context.cpuPools.read()).pools : undefined;
  // To prepare takes a while, in which somebody may have changed it: then it is looked at again.
  if (defines && domain && (await findDrift(context, domain, desired.settledDrift))) return 'again';
  const ref = defines ? await define(context, desired, { ...survey, domain }, { image, disc }, undo) : domain.ref;
  if (defines) await onWritten(ref);
  signal?.throwIfAborted();
  if (startsNow && domain?.hasSavedMemory) {
    // To cut off what has been woken would lose what was saved of it.
    onProgress?.('waking the guest', 50);
    await withVolumes(context, desired, () => start(context, desired, ref, domain));
    notes.push(...(await placeWoken(context, desired, { ...domain, ref })));
  } else if (startsNow) {
    onProgress?.('starting the domain', 50);
    undo.add('start', () => cutOff(context, desired.domainName, ref));
    await withVolumes(context, desired, () => start(context, desired, ref));
    await placeStarted(context, desired, ref, before);
  } else onProgress?.('looking after power', 50);
  // libvirt writes all its firewall rules anew for a lease, a third of a second in which no domain can start on that
  // network. So it comes after the start: no guest asks for its address that early, and each asks more than once.
  await prepareLeases(context, desired, survey, undo);
  if (!isOn || domain === undefined) {
    if (!domain?.hasSavedMemory) await settleClaims(context, desired);
    return 'done';
  }
  const kept = await convergeDevices(context, desired, survey, domain, signal);
  const locked = await convergeDisc(context, desired, ref, disc?.path ?? null);
  if (locked === undefined) await settleClaims(context, desired);
  notes.push(...pendingDriverNotes(domain.record.desired, desired));
  notes.push(...(await convergeSizes(context, desired, domain, signal)));
  notes.push(...(await convergeCpu(context, desired, domain)));
  // What it still has and is to lose, it says of itself until then.
  if (isStale && kept === undefined) await writeRecord(context, desired, ref, domain.record.rebootToken);
  if ((await convergePower(context, desired, domain)) === 'cut-off') return 'again';
  if (kept ?? locked) throw kept ?? locked;
  return 'done';
}

/** What is to be done to a domain that is off before it is defined or started. */
async function settleOff(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
  undo: UndoStack,
): Promise<OwnDomain> {
  await removeGoneLeases(context, desired, domain);
  return renameDomain(context, desired, await convergeOff(context, desired, domain), undo);
}

/** Needs neither image nor network. What else is new in the desired instance is defined when it starts again. */
async function turnOff(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
  onWritten: DefinitionWriting['onWritten'],
): Promise<'done' | 'again'> {
  if (domain.record.generation < desired.generation) {
    await forgetDevices(context, desired, domain);
    await ejectDisc(context, desired, domain);
    await writeRecord(context, desired, domain.ref, domain.record.rebootToken);
    await onWritten(domain.ref);
  }
  const outcome = await convergePower(context, desired, domain);
  return outcome === 'cut-off' && domain.ref.name !== desired.domainName ? 'again' : 'done';
}

/** What is no longer to be in the drive of a domain that goes off; what is to be there is defined when it starts again. */
async function ejectDisc(context: AgentContext, desired: DesiredInstance, { ref }: OwnDomain): Promise<void> {
  const claims = await readClaims(context.storage, desired.id);
  if (claims.every((claim) => claim === desired.cdrom?.imageId)) return;
  const locked = await convergeDisc(context, desired, ref, null, { inDefinition: true });
  if (locked === undefined) await settleClaims(context, desired);
}

/** Waits for all, also when one fails, so that nothing is still being made while it is taken back. */
async function allOrError(work: Promise<void>[]): Promise<void> {
  const settled = await Promise.allSettled(work);
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
