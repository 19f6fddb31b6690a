// Instant launches on a simulated host: templates and shells as records, with the refusals and the order of a real one. No
// guest is copied; what a copy saves is the time for its files.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ObservedTemplate, WarmKeeping } from '@virga/contract/agent/warm';
import { VirgaError } from '@virga/contract/errors';
import type { TemplateId } from '@virga/contract/ids';
import type { CallSteps, Calls } from './call-steps.ts';
import type { StoredTemplate } from './host-records.ts';
import { requireSpace } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';

const bytesPerMib = 1024 * 1024;

export function simulatedWarm(host: SimulatedHost, calls: Calls): WarmKeeping {
  const { templates, shells, folders, images } = host.store;
  const clonesOf = (id: TemplateId): number =>
    folders.all().filter(({ owner }) => owner.templateId === id).length +
    shells.all().filter(({ templateId }) => templateId === id).length;
  const observed = ({ id, cloudId, isReady }: StoredTemplate): ObservedTemplate => ({
    ...{ id, cloudId },
    state: isReady ? 'ready' : 'stale',
    clones: clonesOf(id),
  });
  return {
    applyTemplate: (desired, context) =>
      calls.run('applyTemplate', desired.id, context, async (steps) => {
        const present = templates.get(desired.id);
        if (present !== undefined) return observed(present);
        if (images.get(desired.imageId)?.cloudId !== desired.cloudId) throw imageMissing(desired.imageId);
        requireSpace(host, desired.memoryMib * bytesPerMib);
        await steps.take('template-start', 20, steps.timings.templateMs, () => undefined);
        await steps.take('template-name', 95, 0, () => templates.set(desired.id, { ...desired, isReady: true }));
        return observed(templates.get(desired.id)!);
      }),
    deleteTemplate: ({ id, cloudId }, context) =>
      calls.run('deleteTemplate', id, context, async (steps) => {
        const present = templates.get(id);
        if (present?.cloudId !== cloudId) return;
        await steps.take('delete-template', 10, 0, () => templates.set(id, { ...present, isReady: false }));
        if (clonesOf(id) > 0) throw inUse(id, clonesOf(id));
        templates.delete(id);
      }),
    listTemplates: (cloudId, context) =>
      calls.run('listTemplates', '', context, () =>
        templates
          .all()
          .filter((template) => template.cloudId === cloudId)
          .map(observed),
      ),
    applyShell: (desired, context) =>
      calls.run('applyShell', desired.id, context, async (steps) => {
        if (folders.get(desired.id) !== undefined) throw taken(desired.id);
        if (shells.get(desired.id) === undefined) {
          requireReady(host, desired.templateId, desired.cloudId);
          await steps.take('shell-start', 50, steps.timings.startMs, () => shells.set(desired.id, desired));
        }
        return { ...desired, isReady: true };
      }),
    deleteShell: ({ id, cloudId }, context) =>
      calls.run('deleteShell', id, context, async (steps) => {
        if (shells.get(id)?.cloudId !== cloudId) return;
        await steps.take('delete-shell', 50, 0, () => shells.delete(id));
      }),
    listShells: (cloudId, context) =>
      calls.run('listShells', '', context, () =>
        shells
          .all()
          .filter((shell) => shell.cloudId === cloudId)
          .map((shell) => ({ ...shell, isReady: true })),
      ),
  };
}

/** What is there of a real one before it runs. */
const freshFilesBytes = 256 * 1024;

/**
 * Begins an instance as a copy, when it may and has not begun yet; where that fails it begins cold.
 * @returns the instance; without `warm` when it is no copy
 */
export async function beginWarm(
  host: SimulatedHost,
  desired: DesiredInstance,
  steps: CallSteps,
): Promise<DesiredInstance> {
  const { warm, ...cold } = desired;
  if (warm === undefined) return desired;
  const { folders, shells } = host.store;
  const { id, cloudId, uuid, domainName, rootDisk } = desired;
  if (folders.get(id) === undefined && host.domain(id) === undefined && desired.power.state === 'running') {
    try {
      requireReady(host, warm.templateId, cloudId);
      if (shells.get(id) === undefined) await steps.take('shell-start', 10, steps.timings.startMs, () => undefined);
      await steps.take('warm-take', 20, steps.timings.identityMs, () => {
        const owner = { id, cloudId, uuid, domainName, imageId: rootDisk.imageId, templateId: warm.templateId };
        folders.set(id, { owner, rootDiskBytes: freshFilesBytes, hasSeed: true, consoleLog: '' });
      });
    } catch (error) {
      if (!(error instanceof VirgaError) || error.code === 'HostUnavailable') throw error;
    }
    shells.delete(id);
  }
  return folders.get(id)?.owner.templateId === undefined ? cold : desired;
}

function requireReady({ store }: SimulatedHost, id: TemplateId, cloudId: string): void {
  const template = store.templates.get(id);
  if (template?.isReady && template.cloudId === cloudId) return;
  throw new VirgaError('NotFound', {
    detail: `The template ${id} is not on this host, or cannot be copied any more.`,
    action: 'Nothing: launches begin cold. To make it anew: virga images warm IMAGE.',
  });
}

const imageMissing = (id: string) =>
  new VirgaError('NotFound', { detail: `The image ${id} is not on the host.`, action: 'Import it first.' });

const inUse = (id: string, clones: number) =>
  new VirgaError('InUse', {
    detail: `The disks of ${clones} instances rest on the template ${id}.`,
    action: 'Nothing: it goes with the last of them. Its memory is gone already.',
  });

const taken = (id: string) =>
  new VirgaError('Conflict', { detail: `There is an instance ${id} already.`, action: 'Use another id.' });
