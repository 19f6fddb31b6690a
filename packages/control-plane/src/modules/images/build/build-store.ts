// Rows of images that hosts make.
import type { ImageId } from '@virga/contract/ids';
import type { Selectable } from 'kysely';
import type { Db } from '../../../store/database.ts';
import type { Database } from '../../../store/schema.ts';

type BuildRow = Selectable<Database['image_builds']>;

/** One that is being made. */
export async function requireBuild(db: Db, id: ImageId): Promise<BuildRow> {
  return db.selectFrom('image_builds').selectAll().where('image_id', '=', id).executeTakeFirstOrThrow();
}
