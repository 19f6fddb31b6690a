// Table of images that hosts make.
import type { BuildRecord, BuildSource } from '@virga/contract/agent/image-building';
import type { HostId, ImageId } from '@virga/contract/ids';
import type { ColumnType, JSONColumnType } from 'kysely';

export type ImageBuildTables = {
  image_builds: {
    image_id: ImageId;
    host_id: HostId;
    made_from: JSONColumnType<BuildSource>;
    seal: boolean;
    record: ColumnType<BuildRecord | null, string | null, string | null>;
  };
};
