// Images that a simulated host downloads or is sent. What is sent is judged by the same readers as on a real host, in memory.
// The web of a simulated host is made up: every name has a file of a mebibyte, named after its address, but for those that
// end in `.invalid`, which nobody knows; where a download may not go, it does not.
import { createHash } from 'node:crypto';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { ImageFetching } from '@virga/contract/agent/image-fetching';
import type { DownloadSource, ImageVerification, UploadSource } from '@virga/contract/agent/image-source';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import { moreThanSaid, otherPlace } from '../image-conflicts.ts';
import type { ImageBytes } from '../image-formats/image-bytes.ts';
import { inspectImage } from '../image-formats/inspect-image.ts';
import { findDisk } from '../image-formats/ova.ts';
import { fetchAgain, refuseImage } from '../image-formats/refusal.ts';
import { refusalOf } from '../libvirt/images/staging/reachable-address.ts';
import type { Calls } from './call-steps.ts';
import { requireSpace } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';

type Upload = { cloudId: string; chunks: Buffer[]; bytes: number };
type FetchedFile = {
  virtualSizeBytes: number;
  fileSizeBytes: number;
  sha256: string;
  verification: ImageVerification;
};

/** They outlive an agent, and end with the host. */
const uploadsOf = new WeakMap<SimulatedHost, Map<ImageId, Upload>>();
const uploads = (host: SimulatedHost): Map<ImageId, Upload> => {
  const known = uploadsOf.get(host) ?? new Map<ImageId, Upload>();
  uploadsOf.set(host, known);
  return known;
};

/** What is at an address on a simulated web. */
const webFile = (url: string): Buffer => Buffer.alloc(1024 ** 2, `${url}\n`);

export function simulatedFetching(host: SimulatedHost, calls: Calls): ImageFetching {
  return {
    receiveImage: ({ id, cloudId, offsetBytes, sizeBytes }, content, context) =>
      calls.run('receiveImage', id, context, async () => {
        const upload = uploads(host).get(id) ?? { cloudId, chunks: [], bytes: 0 };
        if (offsetBytes !== upload.bytes) {
          content.destroy();
          throw otherPlace(upload.bytes);
        }
        requireSpace(host, sizeBytes - offsetBytes);
        uploads(host).set(id, upload);
        for await (const chunk of content as AsyncIterable<Buffer>) {
          if (upload.bytes + chunk.length > sizeBytes) throw moreThanSaid(sizeBytes);
          upload.chunks.push(chunk);
          upload.bytes += chunk.length;
        }
        return upload.bytes;
      }),
    receivedBytes: ({ id }, context) =>
      calls.run('receivedBytes', id, context, () => uploads(host).get(id)?.bytes ?? 0),
    listUnfinishedImages: (cloudId, context) =>
      calls.run('listUnfinishedImages', 'host', context, () =>
        [...uploads(host)].filter(([, upload]) => upload.cloudId === cloudId).map(([id]) => id),
      ),
  };
}

export function forgetUpload(host: SimulatedHost, { id, cloudId }: { id: ImageId; cloudId: string }): void {
  if (uploads(host).get(id)?.cloudId === cloudId) uploads(host).delete(id);
}

type Fetched = DesiredImage & { source: DownloadSource | UploadSource };

/** @throws ImageUnusable | ImageSourceUnavailable | NotFound | Conflict */
export async function fetchFile(host: SimulatedHost, desired: Fetched): Promise<FetchedFile> {
  const { id, source } = desired;
  const content = source.kind === 'upload' ? whole(host, id, source) : download(source);
  const sha256 = createHash('sha256').update(content).digest('hex');
  try {
    if (source.checksum) {
      const { algorithm, value } = source.checksum;
      const actual = createHash(algorithm).update(content).digest('hex');
      if (actual !== value) throw refuseImage(`has the checksum ${actual} and should have ${value}`, fetchAgain);
    }
    const format = source.kind === 'download' && source.format === 'detect' ? 'raw' : source.format;
    const { kind = 'disk' } = desired;
    const { maximumVirtualBytes } = source.limits;
    const looked = await look(inMemory(content), { format, kind, maximumVirtualBytes });
    return {
      ...{ virtualSizeBytes: looked.virtualSizeBytes, fileSizeBytes: content.length, sha256 },
      verification: {
        ...{ sha256, sizeBytes: content.length, format: looked.format },
        checksum: source.checksum ? 'matched' : 'none',
        signature: 'none',
      },
    };
  } catch (error) {
    forgetUpload(host, desired);
    throw error;
  }
}

type Looked = Pick<ImageVerification, 'format'> & { virtualSizeBytes: number };

async function look(bytes: ImageBytes, stated: Parameters<typeof inspectImage>[1]): Promise<Looked> {
  const found = await inspectImage(bytes, stated);
  if (found.kind === 'disk') return found;
  if (found.kind === 'compressed') return { format: 'raw', virtualSizeBytes: bytes.sizeBytes };
  const disk = await findDisk(bytes);
  const { virtualSizeBytes } = await look(part(bytes, disk), { ...stated, format: 'detect' });
  return { format: 'ova', virtualSizeBytes };
}

function whole(host: SimulatedHost, id: ImageId, { sizeBytes }: UploadSource): Buffer {
  const upload = uploads(host).get(id);
  if (upload?.bytes === sizeBytes) return Buffer.concat(upload.chunks);
  if (upload) {
    const detail = `Of the image ${upload.bytes} of ${sizeBytes} bytes have been sent.`;
    throw new VirgaError('Conflict', { detail, action: 'Send the rest.' });
  }
  throw new VirgaError('NotFound', {
    detail: 'The image was sent to another host and is not on this one.',
    action: 'Import it by an address that every host can read.',
  });
}

function download({ url, networks, limits }: DownloadSource): Buffer {
  const { hostname } = new URL(url);
  const address = hostname.replace(/^\[|\]$/g, '');
  const refusal = /^[\d.]+$|:/.test(address) ? refusalOf(address, networks) : undefined;
  if (refusal || hostname.endsWith('.invalid')) {
    throw new VirgaError('ImageSourceUnavailable', {
      detail: refusal ? `Nothing is downloaded from ${address}, which ${refusal}.` : `${url} cannot be read.`,
      action: 'Give another address.',
      field: '/source/url',
    });
  }
  const content = webFile(url);
  if (content.length > limits.maximumFileBytes) throw refuseImage(`has ${content.length} bytes`, 'Take a smaller one.');
  return content;
}

function inMemory(content: Buffer): ImageBytes {
  return {
    sizeBytes: content.length,
    async at(offsetBytes, lengthBytes, what) {
      const bytes = content.subarray(Number(offsetBytes), Number(offsetBytes) + lengthBytes);
      if (bytes.length !== lengthBytes) throw refuseImage(`ends before the end of ${what}`, fetchAgain);
      return bytes;
    },
    upTo: async (offsetBytes, lengthBytes) => content.subarray(offsetBytes, offsetBytes + lengthBytes),
  };
}

const part = (
  bytes: ImageBytes,
  { offsetBytes, sizeBytes }: { offsetBytes: number; sizeBytes: number },
): ImageBytes => ({
  sizeBytes,
  at: (at, lengthBytes, what) => bytes.at(BigInt(offsetBytes) + BigInt(at), lengthBytes, what),
  upTo: (at, lengthBytes) => bytes.upTo(offsetBytes + at, Math.min(lengthBytes, sizeBytes - at)),
});
