// Tables of images on their way in, and where images come from.
import type { ImageChecksum, StatedFormat } from '@virga/contract/agent/image-source';
import type { HostId, ImageId, OperationId } from '@virga/contract/ids';
import type { ChecksumList } from '@virga/contract/rest/image-import';
import type { Generated } from 'kysely';

/** Where an image comes from. A host is told more: limits, keys, and what it may not reach. */
export type StoredImageSource =
  | { kind: 'file'; path: string }
  | { kind: 'download'; url: string; format: StatedFormat; checksum?: ImageChecksum; checksumList?: ChecksumList }
  | { kind: 'upload'; sizeBytes: number; format: StatedFormat; checksum?: ImageChecksum };

export type ImageTables = {
  image_imports: {
    image_id: ImageId;
    host_id: HostId;
    size_bytes: number | null;
    operation_id: OperationId | null;
    is_cancelled: Generated<boolean>;
    touched_at: Date;
  };
};
