// Where a host gets an image from, as it is told: what is stored of that, with the limits, keys and networks of now.
import type { DownloadSource, ImageSource } from '@virga/contract/agent/image-source';
import type { Deps } from '../../deps.ts';
import { readKeyring } from './catalog/catalog.ts';
import type { ImageRow } from './image-store.ts';

/** Of an image that has come before, the same bytes are demanded again, whatever its list of checksums says by now. */
export async function imageSourceOf(
  deps: Deps,
  { source, verification }: Pick<ImageRow, 'source' | 'verification'>,
): Promise<ImageSource> {
  if (source.kind === 'file') return source;
  const { settings } = deps;
  const limits = {
    maximumFileBytes: settings.imageMaximumFileBytes,
    maximumVirtualBytes: settings.imageMaximumVirtualBytes,
    maximumSeconds: settings.imageMaximumSeconds,
  };
  if (source.kind === 'upload') return { ...source, limits };
  const networks = { allowed: [...settings.imageNetworks], refused: await ownNetworks(deps) };
  const { checksumList, ...rest } = source;
  const download: DownloadSource = { ...rest, limits, networks };
  if (verification) return { ...download, checksum: { algorithm: 'sha256', value: verification.sha256 } };
  if (!checksumList) return download;
  const { signature, ...list } = checksumList;
  if (!signature) return { ...download, checksumList: list };
  const keyring = await readKeyring(settings, signature.fingerprint);
  return { ...download, checksumList: { ...list, signature: { ...signature, ...(keyring && { keyring }) } } };
}

/** Those of instances, and where this server and its database listen. */
async function ownNetworks({ db, settings }: Deps): Promise<string[]> {
  const rows = await db.selectFrom('networks').select('cidr').execute();
  return [...rows.map(({ cidr }) => cidr), ...settings.ownAddresses];
}
