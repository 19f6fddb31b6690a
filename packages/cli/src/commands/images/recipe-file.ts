// A recipe as people write it: YAML, with files of the guest beside it. Owns what only such a file can say: `source` of a file.
// Whether the rest is right the server says.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { ImageRecipe } from '@virga/contract/agent/image-recipe';
import { VirgaError } from '@virga/contract/errors';

/** @throws NotFound | InvalidArgument */
export async function readRecipe(path: string): Promise<{ name: string | undefined; recipe: ImageRecipe }> {
  const { parse } = await import('yaml');
  const text = await read(path, '');
  let value: unknown;
  try {
    value = parse(text.toString());
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    throw wrong(`${path} is not YAML: ${line}`, 'Mend it there.', '', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(`${path} is no recipe: it has no fields.`, 'See the guide on building images.', '');
  }
  const { name, files, ...recipe } = value as Record<string, unknown>;
  if (name !== undefined && typeof name !== 'string') throw wrong('The name is no text.', 'Write a name.', '/name');
  const whole = Array.isArray(files)
    ? { files: await Promise.all(files.map((file, index) => inline(path, file, index))) }
    : { files };
  return { name, recipe: { ...recipe, ...(files === undefined ? {} : whole) } as unknown as ImageRecipe };
}

async function inline(recipe: string, file: unknown, index: number): Promise<unknown> {
  if (typeof file !== 'object' || file === null || !('source' in file)) return file;
  const { source, ...rest } = file;
  const field = `/recipe/files/${index}/source`;
  if (typeof source !== 'string' || 'content' in rest) {
    throw wrong(
      `File ${index + 1} of the recipe has ${typeof source === 'string' ? 'a source and content' : 'no text as its source'}.`,
      'Give one of the two.',
      field,
    );
  }
  const bytes = await read(resolve(dirname(recipe), source), field);
  return { ...rest, content: bytes.toString('base64'), encoding: 'base64' };
}

async function read(path: string, field: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new VirgaError('NotFound', {
      detail: `The file ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
      action: 'Give the path of a file that you may read.',
      ...(field && { field }),
      cause: error,
    });
  }
}

const wrong = (detail: string, action: string, field: string, cause?: unknown) =>
  new VirgaError('InvalidArgument', { detail, action, ...(field && { field }), cause });
