// What a volume can be made as: format, preallocation, encryption and where its content comes from, and which of these go
// together. Pure.
import type { Preallocation, VolumeFormat } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';

export type VolumeShape = {
  format?: VolumeFormat | undefined;
  preallocation?: Preallocation | undefined;
  encrypted?: boolean | undefined;
  clone?: 'linked' | 'full' | undefined;
  /** Of the pool, where that is known. */
  driver?: string | undefined;
};

/** @throws InvalidArgument */
export function refuseImpossibleShape({ format, preallocation = 'off', encrypted, clone, driver }: VolumeShape): void {
  if (driver === 'rbd') refuseForCeph({ format, preallocation, clone });
  if (format === 'raw' && encrypted && driver !== 'rbd') {
    throw refusal('A raw volume is not encrypted.', 'Leave out the format, or the encryption.', '/encrypted');
  }
  if (format === 'raw' && preallocation === 'metadata') {
    throw refusal('A raw volume has no metadata.', 'Choose the preallocation off, falloc or full.', '/preallocation');
  }
  if (encrypted && clone === 'linked') {
    throw refusal('A linked clone is not encrypted: the image below is not.', 'Ask for a full clone.', '/clone');
  }
  if (clone === 'linked' && format === 'raw') {
    throw refusal('A raw volume rests on nothing.', 'Ask for a full clone, or leave out the format.', '/clone');
  }
  if (clone === 'linked' && preallocation !== 'off') {
    throw refusal(
      'A linked clone takes what is written to it.',
      'Ask for a full clone, or leave out the preallocation.',
      '/preallocation',
    );
  }
}

function refuseForCeph({ format, preallocation, clone }: VolumeShape): void {
  if (format === 'qcow2') {
    throw refusal('A volume in a Ceph pool is raw.', 'Leave out the format, or choose another pool.', '/format');
  }
  if (preallocation !== 'off') {
    throw refusal(
      'A volume in a Ceph pool takes what is written to it.',
      'Leave out the preallocation.',
      '/preallocation',
    );
  }
  if (clone === 'linked') {
    throw refusal('A volume in a Ceph pool cannot rest on an image of the host.', 'Ask for a full clone.', '/clone');
  }
}

const refusal = (detail: string, action: string, field: string): VirgaError =>
  new VirgaError('InvalidArgument', { detail, action, field });

/**
 * As a volume has it that becomes one of another format: the tables that are made beforehand are those of a qcow2. In Ceph all are raw,
 * and have again what they had when they are back in a folder.
 */
export const preallocationIn = (driver: string, format: VolumeFormat, preallocation: Preallocation): Preallocation =>
  driver !== 'rbd' && format === 'raw' && preallocation === 'metadata' ? 'off' : preallocation;
