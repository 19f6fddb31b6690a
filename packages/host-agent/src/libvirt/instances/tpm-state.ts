// What an emulated TPM holds, which libvirt keeps on the host by the UUID of the domain. libvirt removes it with the
// definition of a domain that has a TPM; here it goes when the TPM is taken away, so that the next one begins empty.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredInstance } from '@virga/contract/agent/desired';

/** Where libvirt's system daemon keeps them. */
const tpmStatesPath = '/var/lib/libvirt/swtpm';

export const tpmStatePath = (uuid: string): string => join(tpmStatesPath, uuid);

/** Of a domain that is off and is to have no TPM. Idempotent. */
export async function eraseTpm({ uuid, tpm }: Pick<DesiredInstance, 'uuid' | 'tpm'>): Promise<void> {
  if (!tpm) await rm(tpmStatePath(uuid), { recursive: true, force: true });
}
