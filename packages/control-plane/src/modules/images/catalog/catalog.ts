// The catalog: what comes with Virga, and what an administrator has in a file, such as mirrors inside a company. Read anew for
// every request, so that a change needs no restart. A file that cannot be used is told of and never half obeyed.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { type Architecture, CatalogImage } from '@virga/contract/rest/image-import';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { parse } from 'yaml';
import type { Settings } from '../../../deps.ts';
import { type CatalogEntry, officialImages } from './official-images.ts';

export type CatalogSettings = Pick<Settings, 'imageCatalogPath' | 'imageKeysPath'>;

const { origin: _, hasKey: __, checksums, ...fields } = CatalogImage.properties;
const CatalogFile = Compile(
  Type.Object(
    {
      /** Only what stands here. */
      replace: Type.Optional(Type.Boolean()),
      images: Type.Array(
        Type.Object({ ...fields, checksums: Type.Optional(checksums) }, { additionalProperties: false }),
      ),
    },
    { additionalProperties: false },
  ),
);

/** By name, then architecture. An entry of the file goes before one of the same name and architecture. */
export async function readCatalog(settings: CatalogSettings): Promise<CatalogImage[]> {
  const { replace = false, images } = await readCatalogFile(settings.imageCatalogPath);
  const same = (a: CatalogEntry, b: CatalogEntry) => a.name === b.name && a.architecture === b.architecture;
  const official = replace ? [] : officialImages.filter((entry) => !images.some((own) => same(own, entry)));
  const all = [
    ...official.map((entry) => ({ ...entry, origin: 'built-in' as const })),
    ...images.map((entry) => ({ ...entry, origin: 'administrator' as const })),
  ];
  const items = all.map(async (entry) => {
    const fingerprint = entry.checksums?.signature?.fingerprint;
    return { ...entry, hasKey: fingerprint !== undefined && (await readKeyring(settings, fingerprint)) !== undefined };
  });
  const order = ({ name, architecture }: CatalogImage) => `${name} ${architecture}`;
  return (await Promise.all(items)).sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

/** @throws NotFound */
export async function findInCatalog(
  settings: CatalogSettings,
  name: string,
  architecture: Architecture,
): Promise<CatalogImage> {
  const catalog = await readCatalog(settings);
  const found = catalog.find((entry) => entry.name === name && entry.architecture === architecture);
  if (found) return found;
  const isOther = catalog.some((entry) => entry.name === name);
  throw new VirgaError('NotFound', {
    detail: isOther
      ? `The catalog has ${name} for other machines than ${architecture}.`
      : `The catalog has no ${name}.`,
    action: 'See what it has: virga images catalog.',
    field: '/source/catalog',
  });
}

/**
 * The key of that fingerprint, as gpgv reads it, in base64: `FINGERPRINT.gpg` or `FINGERPRINT.asc` in the folder of keys.
 * Undefined: there is none.
 */
export async function readKeyring(
  { imageKeysPath }: CatalogSettings,
  fingerprint: string,
): Promise<string | undefined> {
  if (imageKeysPath === null) return undefined;
  const binary = await readOptional(join(imageKeysPath, `${fingerprint}.gpg`));
  if (binary) return binary.toString('base64');
  const armored = await readOptional(join(imageKeysPath, `${fingerprint}.asc`));
  return armored && dearmor(armored.toString('latin1'));
}

/** @see RFC 9580, 6.2 */
function dearmor(text: string): string | undefined {
  const [, body = ''] = /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n([\s\S]*?)-----END/.exec(text) ?? [];
  const lines = body.split(/\r?\n/);
  const data = lines
    .slice(lines.indexOf('') + 1)
    .filter((line) => /^[A-Za-z0-9+/]+=*$/.test(line) && !line.startsWith('='));
  return data.length === 0 ? undefined : Buffer.from(data.join(''), 'base64').toString('base64');
}

async function readCatalogFile(path: string | null): Promise<{ replace?: boolean; images: CatalogEntry[] }> {
  const text = path === null ? undefined : await readOptional(path);
  if (!text) return { images: [] };
  let content: unknown;
  try {
    content = parse(text.toString('utf8'));
  } catch (cause) {
    throw unusable(path, 'it is no YAML', cause);
  }
  if (CatalogFile.Check(content)) {
    const images = content.images.map((entry) => ({ ...entry, checksums: entry.checksums ?? null }));
    return { ...(content.replace !== undefined && { replace: content.replace }), images };
  }
  const [fault] = CatalogFile.Errors(content);
  throw unusable(path, `${fault?.instancePath || 'the whole'}: ${fault?.message}`, undefined);
}

async function readOptional(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

const unusable = (path: string | null, why: string, cause: unknown) =>
  new VirgaError('OperationFailed', {
    detail: `The catalog file ${path} cannot be used: ${why}.`,
    action: 'Mend it, or take it away to have the catalog that comes with Virga.',
    cause,
  });
