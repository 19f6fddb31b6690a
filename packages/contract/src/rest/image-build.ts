// Images that a host makes: of a recipe, of another image, or of the disk of an instance that is off; and what is found inside of
// images and of such instances.
import { type Static, Type } from 'typebox';
import { BuildRecord, BuildSource, LintReport } from '../agent/image-building.ts';
import { ImageRecipe } from '../agent/image-recipe.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { Image } from './images.ts';
import { idParams, Name, Nullable } from './shared.ts';

/** How an image was made; an image that was brought in has none. */
export const ImageBuild = Type.Object(
  {
    imageId: IdSchema('image'),
    hostId: IdSchema('host'),
    from: BuildSource,
    seal: Type.Boolean(),
    record: Nullable(BuildRecord),
  },
  { $id: 'ImageBuild' },
);
export type ImageBuild = Static<typeof ImageBuild>;

const Changed = Type.Object({ image: Image, operationId: IdSchema('operation') });
const recipeLimitBytes = 32 * 1024 * 1024;

/** A machine may have to be built and started for it. */
export const lookMs = 280_000;

export const imageBuildRoutes = {
  buildImage: route({
    method: 'POST',
    path: '/v1/images/build',
    summary: 'Build an image of a recipe, whose commands run on the host as root of the new system',
    access: { scope: 'cloud', role: 'admin' },
    body: Type.Object(
      {
        name: Name,
        recipe: ImageRecipe,
        host: Type.Optional(Type.String({ maxLength: 253, description: 'name or id; default the only one' })),
        visibility: Type.Optional(Type.Union([Type.Literal('private'), Type.Literal('public')])),
      },
      { additionalProperties: false },
    ),
    bodyLimitBytes: recipeLimitBytes,
    ok: Changed,
    status: 202,
  }),
  sealImage: route({
    method: 'POST',
    path: '/v1/images/{id}/seal',
    summary: 'Make a sealed copy of an image: without what is of one machine alone',
    access: { scope: 'project', role: 'operator' },
    params: idParams('image'),
    body: Type.Object({ name: Name }, { additionalProperties: false }),
    ok: Changed,
    status: 202,
  }),
  createImage: route({
    method: 'POST',
    path: '/v1/instances/{id}/image',
    summary: 'Make an image of the root disk of an instance that is off',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: Type.Object(
      {
        name: Name,
        seal: Type.Optional(Type.Boolean({ default: false, description: 'take out what is of one machine alone' })),
      },
      { additionalProperties: false },
    ),
    ok: Changed,
    status: 202,
  }),
  getImageBuild: route({
    method: 'GET',
    path: '/v1/images/{id}/build',
    summary: 'Show how an image was made: its recipe, the versions of its packages, what sealing did',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('image'),
    ok: ImageBuild,
  }),
  lintImage: route({
    method: 'POST',
    path: '/v1/images/{id}/lint',
    summary: 'Look into an image for what a good template has and has not; nothing is changed',
    access: { scope: 'project', role: 'operator' },
    params: idParams('image'),
    patienceMs: lookMs,
    ok: LintReport,
  }),
  lintInstance: route({
    method: 'POST',
    path: '/v1/instances/{id}/lint',
    summary: 'Look into the root disk of an instance that is off; nothing is changed',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    patienceMs: lookMs,
    ok: LintReport,
  }),
};
