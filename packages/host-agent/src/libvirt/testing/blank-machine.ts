// A machine for tests that write to its disks past its guest: it has an empty disk, and nothing to boot.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import type { TestHost } from './test-host.ts';

export const mebibyte = 1024 * 1024;

export function machine(host: TestHost, changes: Partial<DesiredInstance> = {}): DesiredInstance {
  const base = host.instance(host.network(), newId('image'), { nics: [], ...changes });
  return { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 8 * mebibyte } };
}

export const stopped = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'stopped', forceAt: new Date(0).toISOString() },
});
