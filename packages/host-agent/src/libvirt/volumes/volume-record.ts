// What a host writes down of a volume, beside its disk. A passphrase and the key of a pool are never in it.
import type { DesiredVolume, VolumeFormat } from '@virga/contract/agent/volumes';
import type { PoolId } from '@virga/contract/ids';

export type VolumeRecord = Omit<DesiredVolume, 'mustExist' | 'pool' | 'passphrase' | 'format'> & {
  /** Absent: it lies in the host's own storage. */
  poolId?: PoolId;
  /** Absent: qcow2. */
  format?: VolumeFormat;
  encrypted?: boolean;
};

export function recordOfVolume({ mustExist: _, pool, passphrase, format, ...rest }: DesiredVolume): VolumeRecord {
  return {
    ...rest,
    ...(pool && { poolId: pool.id }),
    ...(pool?.place.driver === 'rbd' ? { format: 'raw' as const } : format && format !== 'qcow2' && { format }),
    ...(passphrase !== undefined && { encrypted: true }),
  };
}
