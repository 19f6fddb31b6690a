// What fronts call to have images made, and to look into them. The work on hosts is done by a workflow; a look asks the host that
// has the image, each time.
import type { BuildSource, LintReport } from '@virga/contract/agent/image-building';
import type { ImageRecipe } from '@virga/contract/agent/image-recipe';
import { VirgaError } from '@virga/contract/errors';
import { type HostId, type ImageId, newId, type OperationId, type ProjectId } from '@virga/contract/ids';
import type { ImageBuild } from '@virga/contract/rest/image-build';
import type { Image } from '@virga/contract/rest/images';
import type { CloudAccess, ProjectAccess, WriteAccess } from '../../../access/authorizer.ts';
import type { RegisteredHost } from '../../../agents/agent-registry.ts';
import type { Deps } from '../../../deps.ts';
import { appendEvent } from '../../../events/event-log.ts';
import type { Db, Tx } from '../../../store/database.ts';
import { type Idempotency, onceOnly } from '../../../store/once-only.ts';
import { startWorkflow } from '../../../workflows/workflow.ts';
import { resolveHost } from '../../hosts/resolve-host.ts';
import { getImage } from '../image-operations.ts';
import { about, type ImageRow, named, resourceOf, toImage } from '../image-store.ts';
import { buildImageKind } from './build-image.workflow.ts';
import { checkRecipe } from './recipe-rules.ts';

export type ImageOrdered = { image: Image; operationId: OperationId };

type NewBuild = {
  name: string;
  recipe: ImageRecipe;
  host?: string | undefined;
  visibility?: ImageRow['visibility'] | undefined;
};

/** @throws InvalidArgument | NameTaken | NotFound the host | IdempotencyMismatch */
export async function buildImage(
  deps: Deps,
  access: CloudAccess<'admin'>,
  { name, recipe, host, visibility = 'private' }: NewBuild,
  idempotency?: Idempotency,
): Promise<ImageOrdered> {
  const { projectId } = access;
  if (projectId === null) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The request names no project to build the image in.',
      action: 'Name one with --project or the header virga-project.',
    });
  }
  checkRecipe(recipe);
  return orderImage(deps, access, name, idempotency, async (tx) => ({
    ...{ projectId, visibility, seal: recipe.seal ?? true },
    hostId: (await resolveHost(tx, host)).id,
    from: { kind: 'recipe', recipe },
    told: `of a recipe for ${recipe.base.distribution} ${recipe.base.suite}`,
    ...{ defaultUser: recipe.defaultUser ?? usualUser(recipe), minimumMemoryMib: recipe.minimumMemoryMib ?? 0 },
    warmable: recipe.warmable ?? false,
  }));
}

/** Who cloud-init of the distribution makes. */
const usualUser = ({ base, boot, cloudInit }: ImageRecipe): string =>
  (cloudInit ?? boot !== 'none') ? base.distribution : 'root';

/** Makes a sealed copy. @throws NotFound | Conflict it is not available | InvalidArgument it is a disc | NameTaken */
export async function sealImage(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: ImageId,
  { name }: { name: string },
  idempotency?: Idempotency,
): Promise<ImageOrdered> {
  const image = await requireDisk(deps, access, id);
  const host = await hostWith(deps, id);
  return orderImage(deps, access, name, idempotency, async () => ({
    ...{ projectId: access.projectId, visibility: 'private', seal: true, hostId: host.id },
    from: { kind: 'image', imageId: id },
    told: `of image ${image.name}, sealed`,
    ...{ defaultUser: image.defaultUser, minimumMemoryMib: image.minimumMemoryMib, warmable: image.warmable },
  }));
}

/** @throws NotFound | Conflict it is not available | InvalidArgument it is a disc | HostUnavailable */
export async function lintImage(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: ImageId,
  signal?: AbortSignal,
): Promise<LintReport> {
  await requireDisk(deps, access, id);
  const { agent } = await hostWith(deps, id);
  return agent.lintImage(deps.cloudId, { kind: 'image', id }, { signal });
}

/** @throws NotFound there is no such image, or it was brought in */
export async function getImageBuild(db: Db, access: ProjectAccess, id: ImageId): Promise<ImageBuild> {
  const image = await getImage(db, access, id);
  const row = await db.selectFrom('image_builds').selectAll().where('image_id', '=', id).executeTakeFirst();
  if (row) return { imageId: id, hostId: row.host_id, from: row.made_from, seal: row.seal, record: row.record };
  throw new VirgaError('NotFound', {
    detail: `There is no record of how image ${image.name} was made: it was brought in, or the database was rebuilt.`,
    action: `See what is in it: virga images lint ${image.name}.`,
  });
}

async function requireDisk(deps: Deps, access: ProjectAccess, id: ImageId): Promise<Image> {
  const image = await getImage(deps.db, access, id);
  if (image.kind !== 'disk') {
    throw new VirgaError('InvalidArgument', {
      detail: `Image ${image.name} is a CD-ROM, in which there is nothing to look for.`,
      action: 'Name an image of a disk: virga images list.',
    });
  }
  if (image.state === 'available') return image;
  throw new VirgaError('Conflict', {
    detail: `Image ${image.name} is ${image.state}.`,
    action: image.state === 'pending' ? 'Wait until it can be used.' : 'Choose another image.',
  });
}

async function hostWith(deps: Deps, id: ImageId): Promise<RegisteredHost> {
  for (const host of deps.agents.all()) {
    const images = await host.agent.listImages(deps.cloudId).catch(() => []);
    if (images.some((image) => image.id === id)) return host;
  }
  throw new VirgaError('HostUnavailable', {
    detail: 'No host that can be reached has the image.',
    action: 'See virga hosts list; try again when its host is back.',
  });
}

export type NewOrder = {
  projectId: ProjectId;
  visibility: ImageRow['visibility'];
  hostId: HostId;
  from: BuildSource;
  seal: boolean;
  /** What it is made of, for people. */
  told: string;
  defaultUser: string;
  minimumMemoryMib: number;
  warmable: boolean;
};

/** Writes down that an image is to be made. @throws NameTaken | IdempotencyMismatch */
export async function orderImage(
  deps: Deps,
  access: WriteAccess,
  name: string,
  idempotency: Idempotency | undefined,
  plan: (tx: Tx) => Promise<NewOrder>,
): Promise<ImageOrdered> {
  return named(name, () =>
    onceOnly(deps.db, idempotency, async (tx) => {
      const order = await plan(tx);
      const row = await tx
        .insertInto('images')
        .values({
          ...{ id: newId('image'), project_id: order.projectId, name, visibility: order.visibility },
          ...{ state: 'pending', state_reason: null, kind: 'disk', format: 'qcow2' },
          ...{ virtual_size_bytes: null, file_size_bytes: null, sha256: null },
          ...{ default_user: order.defaultUser, minimum_memory_mib: order.minimumMemoryMib, warmable: order.warmable },
          // Until it is known where on its host it lies.
          source: JSON.stringify({ kind: 'file', path: '' }),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await tx
        .insertInto('image_builds')
        .values({
          ...{ image_id: row.id, host_id: order.hostId, seal: order.seal, record: null },
          made_from: JSON.stringify(order.from),
        })
        .execute();
      await appendEvent(tx, access, {
        ...about(row, 'image.build-requested'),
        message: `Image ${row.name} is to be made ${order.told}.`,
        data: { kind: order.from.kind, seal: order.seal, host: order.hostId },
      });
      const operationId = await startWorkflow(tx, access, buildImageKind, resourceOf(row), { imageId: row.id });
      return { image: toImage(row), operationId };
    }),
  );
}
