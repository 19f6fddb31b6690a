// Tables of what was given back, and still has something of ours: an address, or a disk that rests on an image.
import type { HostId, ImageId, InstanceId, NetworkId, ProjectId } from '@virga/contract/ids';

export type InteropTables = {
  released_instances: {
    /** As it was called while it was an instance. */
    id: InstanceId;
    project_id: ProjectId;
    host_id: HostId;
    image_id: ImageId | null;
    uuid: string;
    domain_name: string;
    released_at: Date;
  };
  foreign_leases: { network_id: NetworkId; address: string; mac: string; released_id: InstanceId };
};
