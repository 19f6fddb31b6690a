// Images that a simulated host makes. Recipes make an image of their size without a single package; disks of guests are those of
// boot sectors, so nothing is found inside of them, as on a real host.
import { createHash } from 'node:crypto';
import type {
  BuildRecord,
  BuiltImage,
  ImageBuilding,
  ImageOrder,
  LintReport,
  LintTarget,
} from '@virga/contract/agent/image-building';
import { packagesOf } from '@virga/contract/agent/image-recipe';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId, InstanceId } from '@virga/contract/ids';
import { diskElsewhere, imageTaken, instanceHibernated, instanceRuns, noDomainOf } from '../build-conflicts.ts';
import type { CallSteps, Calls } from './call-steps.ts';
import { requireSpace } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { toObservedImage } from './simulated-images.ts';

const mib = 1024 ** 2;

/** They outlive an agent, and end with the host. */
const recordsOf = new WeakMap<SimulatedHost, Map<ImageId, BuildRecord>>();
const records = (host: SimulatedHost): Map<ImageId, BuildRecord> => {
  const known = recordsOf.get(host) ?? new Map<ImageId, BuildRecord>();
  recordsOf.set(host, known);
  return known;
};

export const simulatedBuilding = (host: SimulatedHost, calls: Calls): ImageBuilding => ({
  buildImage: (order, context) => calls.run('buildImage', order.id, context, (steps) => build(host, order, steps)),
  lintImage: (cloudId, target, context) =>
    calls.run('lintImage', target.id, context, () => lint(host, cloudId, target)),
});

async function build(host: SimulatedHost, order: ImageOrder, steps: CallSteps): Promise<BuiltImage> {
  const { id, cloudId, from, keepsake } = order;
  const { images } = host.store;
  const present = images.get(id);
  if (present !== undefined) {
    if (present.cloudId !== cloudId) throw imageTaken(id);
    return { image: toObservedImage(present), path: pathOf(id), record: records(host).get(id) ?? unreadable() };
  }
  const bytes = sizeOf(host, order);
  requireSpace(host, bytes.fileSizeBytes);
  if (from.kind !== 'recipe' && order.seal) throw cannotSeal();
  steps.undo.add('image', async () => images.delete(id));
  await steps.take('make-image-folder', 1, 0, () => undefined);
  await steps.take(from.kind === 'recipe' ? 'install-packages' : 'look-into-disk', 10, steps.timings.imageMs, () => {
    requireSpace(host, bytes.fileSizeBytes);
    // Somebody may have started it meanwhile.
    sizeOf(host, order);
  });
  await steps.take('copy-disk', 80, 0, () => undefined);
  await steps.take('check-image', 90, 0, () => undefined);
  const sha256 = createHash('sha256').update(JSON.stringify(from)).digest('hex');
  const image = {
    id,
    cloudId,
    generation: 1,
    format: 'qcow2' as const,
    sha256,
    ...bytes,
    ...(keepsake && { keepsake }),
  };
  await steps.take('name-image', 95, 0, () => {
    images.set(id, image);
    records(host).set(id, recordOf(order));
  });
  return { image: toObservedImage(image), path: pathOf(id), record: recordOf(order) };
}

function sizeOf(
  host: SimulatedHost,
  { cloudId, from }: ImageOrder,
): { virtualSizeBytes: number; fileSizeBytes: number } {
  if (from.kind === 'recipe') return { virtualSizeBytes: from.recipe.sizeMib * mib, fileSizeBytes: 32 * mib };
  if (from.kind === 'image') {
    const { virtualSizeBytes, fileSizeBytes } = requireImage(host, cloudId, from.imageId);
    return { virtualSizeBytes, fileSizeBytes };
  }
  const bytes = requireOff(host, cloudId, from.instanceId);
  return { virtualSizeBytes: bytes, fileSizeBytes: mib };
}

function lint(host: SimulatedHost, cloudId: string, target: LintTarget): LintReport {
  if (target.kind === 'instance') {
    requireOff(host, cloudId, target.id);
    return unreadable().report;
  }
  requireImage(host, cloudId, target.id);
  return records(host).get(target.id)?.report ?? unreadable().report;
}

function requireImage(host: SimulatedHost, cloudId: string, id: ImageId) {
  const image = host.store.images.get(id);
  if (image?.cloudId === cloudId) return image;
  throw new VirgaError('NotFound', {
    detail: `The image ${id} is not on this host.`,
    action: 'Register it again, or launch from another one: virga images list.',
  });
}

/** @returns the size of its root disk */
function requireOff(host: SimulatedHost, cloudId: string, id: InstanceId): number {
  const domain = host.domain(id);
  const folder = host.store.folders.get(id);
  if (domain?.record.cloudId !== cloudId) throw noDomainOf(id);
  const { name, rootDisk, origin } = domain.record.desired;
  if (domain.power !== 'off') throw instanceRuns(name);
  if (domain.savedMemory !== undefined) throw instanceHibernated(name);
  if (origin === 'adopted') throw diskElsewhere(name);
  return folder?.diskSizeBytes ?? rootDisk.sizeBytes;
}

function recordOf({ from }: ImageOrder): BuildRecord {
  if (from.kind !== 'recipe') return unreadable();
  const { distribution, suite } = from.recipe.base;
  return {
    sources: [`deb http://simulated/${distribution} ${suite} main`],
    packages: packagesOf(from.recipe).map((name) => ({ name, version: '1.0' })),
    sealed: [],
    report: { system: `${distribution} ${suite}`, fileSystem: 'ext4', findings: [] },
  };
}

/** A file that no host can open. */
const pathOf = (id: ImageId): string => `/nowhere/simulated/images/${id}`;

const unreadable = (): BuildRecord => ({
  ...{ sources: [], packages: [], sealed: [] },
  report: {
    ...{ system: null, fileSystem: null },
    findings: [
      {
        ...{ id: 'readable', title: 'contents', verdict: 'failure' },
        seen: 'No file system was found on the disk.',
        why: 'Nothing of it can be checked or sealed here.',
        repair: null,
      },
    ],
  },
});

const cannotSeal = () =>
  new VirgaError('ImageUnusable', {
    detail: 'The image file cannot be sealed: no file system was found on the disk.',
    action: 'Make the image without sealing it.',
  });
