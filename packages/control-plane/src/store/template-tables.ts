// Tables of templates and of the copies that wait.
import type { HostId, ImageId, InstanceId, TemplateId } from '@virga/contract/ids';
import type { Generated, JSONColumnType } from 'kysely';
import type { Failure } from './compute-tables.ts';
import type { CreatedAt } from './foundation-tables.ts';

export type TemplateTables = {
  image_templates: {
    id: TemplateId;
    image_id: ImageId;
    host_id: HostId;
    type: string;
    vcpus: number;
    memory_mib: number;
    disk_bytes: number;
    /** How many copies wait. */
    pool: number;
    desired: Generated<'kept' | 'dropped'>;
    state: Generated<'pending' | 'ready' | 'failed'>;
    failure: JSONColumnType<Failure> | null;
    failures: Generated<number>;
    retry_at: Date | null;
    created_at: CreatedAt;
  };
  template_shells: {
    instance_id: InstanceId;
    template_id: TemplateId;
    host_id: HostId;
    state: Generated<'pending' | 'ready'>;
  };
};
