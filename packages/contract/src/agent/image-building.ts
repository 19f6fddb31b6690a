// Images that are made on a host: of a recipe, of another image, or of the disk of an instance that is off. And what is
// found inside of images and such instances, without starting them.
import { type Static, Type } from 'typebox';
import { IdSchema, type ImageId, type InstanceId } from '../ids.ts';
import type { CallContext } from './call-context.ts';
import { ImageRecipe } from './image-recipe.ts';
import { ObservedImage } from './observed.ts';

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

export const LintVerdict = Type.Union([
  Type.Literal('ok'),
  Type.Literal('advice', { description: 'it would be better otherwise' }),
  Type.Literal('warning', { description: 'copies of it will have trouble, or leak something' }),
  Type.Literal('failure', { description: 'copies of it are not safe' }),
]);
export type LintVerdict = Static<typeof LintVerdict>;

export const LintFinding = Type.Object(
  {
    id: Type.String(),
    title: Type.String(),
    verdict: LintVerdict,
    seen: Type.String({ description: 'what was read, and where' }),
    why: Type.String({ description: 'why it matters' }),
    repair: Nullable(
      Type.String({ description: 'what sealing does about it; null: nothing needs to be or can be done' }),
    ),
  },
  { $id: 'LintFinding' },
);
export type LintFinding = Static<typeof LintFinding>;

export const LintReport = Type.Object(
  {
    system: Nullable(Type.String({ description: 'what it says it is, such as Debian GNU/Linux 12 (bookworm)' })),
    fileSystem: Nullable(Type.String({ description: 'of its root; null: it could not be looked into' })),
    findings: Type.Array(LintFinding),
  },
  { $id: 'LintReport' },
);
export type LintReport = Static<typeof LintReport>;

export const PackageVersion = Type.Object({ name: Type.String(), version: Type.String() });

/** What an image was made of, and what was done to it. */
export const BuildRecord = Type.Object(
  {
    /** Lines of apt sources that its packages are from. Empty when it was made of another disk. */
    sources: Type.Array(Type.String()),
    packages: Type.Array(PackageVersion),
    /** A sentence for each thing that sealing did. */
    sealed: Type.Array(Type.String()),
    report: LintReport,
  },
  { $id: 'BuildRecord' },
);
export type BuildRecord = Static<typeof BuildRecord>;

export const BuiltImage = Type.Object({
  image: ObservedImage,
  /** The image file on the host, which other hosts that see it may import. */
  path: Type.String(),
  record: BuildRecord,
});
export type BuiltImage = Static<typeof BuiltImage>;

export const BuildSource = Type.Union([
  Type.Object({ kind: Type.Literal('recipe'), recipe: ImageRecipe }),
  Type.Object({ kind: Type.Literal('image'), imageId: IdSchema('image') }),
  Type.Object({ kind: Type.Literal('instance'), instanceId: IdSchema('instance') }),
]);
export type BuildSource = Static<typeof BuildSource>;

export type ImageOrder = {
  id: ImageId;
  cloudId: string;
  from: BuildSource;
  /** Of a recipe: as the recipe says, unless this is false. */
  seal: boolean;
  /** As of an image that is imported. */
  keepsake?: Record<string, unknown> | undefined;
};

export type LintTarget = { kind: 'image'; id: ImageId } | { kind: 'instance'; id: InstanceId };

export interface ImageBuilding {
  /**
   * Makes an image in the host's store. Idempotent: one that is there is returned. What it makes on the way lies in the
   * image's own folder without a name, and is gone when it fails, or with `deleteImage` after a crash.
   * @throws NotFound the image or the disk that it is to be made of | Conflict the instance is not off
   * @throws ImageUnusable it is to be sealed and cannot be looked into | OperationFailed a package or command failed
   * @throws StorageFull | HostUnavailable a program is missing
   */
  buildImage(order: ImageOrder, context?: CallContext): Promise<BuiltImage>;

  /**
   * Looks into an image, or into the root disk of an instance that is off. Nothing is changed.
   * @throws NotFound | Conflict the instance is not off
   */
  lintImage(cloudId: string, target: LintTarget, context?: CallContext): Promise<LintReport>;
}
