// What has been written to an image of Ceph since it was marked. A mark is a snapshot under a name of ours. When it was
// written is asked of the objects that have changed since: Ceph gives each the time of the client that wrote it, which is this
// host; the image has one too, which it keeps by the minute only.
import { isNotThere } from './ceph-failures.ts';
import type { Extent } from './rbd-extents.ts';

/** What asks Ceph. */
type Pool = {
  rbd(args: readonly string[]): Promise<string>;
  extents(image: string, since: string): Promise<Extent[]>;
  /** In nanoseconds; 0: it is gone. */
  objectWrittenAt(name: string): Promise<bigint>;
};

const markName = 'virga-mark';
const atOnce = 4;

/** @returns the number that Ceph gives each snapshot */
export async function markImage(pool: Pool, image: string): Promise<string> {
  await unmarkImage(pool, image);
  await pool.rbd(['snap', 'create', '--no-progress', markOf(image)]);
  return (await findMark(pool, image))!;
}

export async function unmarkImage(pool: Pool, image: string): Promise<void> {
  try {
    await pool.rbd(['snap', 'rm', '--no-progress', markOf(image)]);
  } catch (error) {
    if (!isNotThere(error)) throw error;
  }
}

export const isImageAsMarked = async (pool: Pool, image: string, mark: string): Promise<boolean> =>
  (await findMark(pool, image)) === mark && (await pool.extents(image, markName)).length === 0;

/** In nanoseconds; 0: nothing has been written since it was marked; undefined: it is not there. */
export async function imageWrittenAt(pool: Pool, image: string): Promise<bigint | undefined> {
  try {
    if ((await findMark(pool, image)) === undefined) return 0n;
    const info = await pool.rbd(['info', '--format', 'json', image]);
    const { object_size: size, block_name_prefix: prefix } = JSON.parse(info) as Record<string, string | number>;
    const objects = (await pool.extents(image, markName)).flatMap(({ offset, length }) => {
      const first = Math.floor(offset / Number(size));
      const last = Math.floor((offset + length - 1) / Number(size));
      return Array.from({ length: last - first + 1 }, (_, index) => `${prefix}.${hex(first + index)}`);
    });
    let latest = 0n;
    for (let at = 0; at < objects.length; at += atOnce) {
      const times = await Promise.all(objects.slice(at, at + atOnce).map((name) => pool.objectWrittenAt(name)));
      latest = [latest, ...times].reduce((one, other) => (one > other ? one : other));
    }
    return latest;
  } catch (error) {
    if (isNotThere(error)) return undefined;
    throw error;
  }
}

const markOf = (image: string): string => `${image}@${markName}`;
const hex = (index: number): string => index.toString(16).padStart(16, '0');

async function findMark(pool: Pool, image: string): Promise<string | undefined> {
  const text = await pool.rbd(['snap', 'ls', '--format', 'json', image]);
  const found = (JSON.parse(text) as { id: number; name: string }[]).find(({ name }) => name === markName);
  return found && String(found.id);
}
