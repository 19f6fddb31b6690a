// Rows of images that hosts make.
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import type { ImageBuild } from '@virga/contract/rest/image-build';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../../access/authorizer.ts';
import type { Db } from '../../../store/database.ts';
import type { Database } from '../../../store/schema.ts';
import { getImage } from '../image-operations.ts';

type BuildRow = Selectable<Database['image_builds']>;

/** One that is being made. */
export async function requireBuild(db: Db, id: ImageId): Promise<BuildRow> {
  return db.selectFrom('image_builds').selectAll().where('image_id', '=', id).executeTakeFirstOrThrow();
}

/** @throws NotFound there is no such image, or it was brought in */
export async function getImageBuild(db: Db, access: ProjectAccess, id: ImageId): Promise<ImageBuild> {
  const image = await getImage(db, access, id);
  const row = await db.selectFrom('image_builds').selectAll().where('image_id', '=', id).executeTakeFirst();
  if (row) return { imageId: id, hostId: row.host_id, from: row.made_from, seal: row.seal, record: row.record };
  throw new VirgaError('NotFound', {
    detail: `Image ${image.name} was not made here, but brought in.`,
    action: `See what is in it: virga images lint ${image.name}.`,
  });
}
