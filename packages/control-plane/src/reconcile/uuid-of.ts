// UUIDs of domains and networks follow from the id, so that what no row owns any more can still be named on a host.
import { createHash } from 'node:crypto';
import type { InstanceId, NetworkId, TemplateId } from '@virga/contract/ids';

/** A version 8 UUID (RFC 9562: made by the application) from the hash of the id. */
export function uuidOf(id: InstanceId | NetworkId | TemplateId): string {
  const bytes = createHash('sha256').update(id).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
