// The disks of an instance that have drivers of their own, as its host is asked about them before it is started.
import type { DrivenDisk } from '@virga/contract/agent/disk-driver';
import type { Tx } from '../../store/database.ts';
import { requireDriver } from '../hosts/disk-drivers.ts';
import type { InstanceRow } from './instance-store.ts';

/**
 * Before a start, as far as the host has told of its disks. What goes on from saved memory goes on with the disks that it has.
 * @throws HostIncapable | VolatileWriteCache its host would refuse it
 */
export async function requireDisks(tx: Tx, row: InstanceRow): Promise<void> {
  if (row.observed_state === 'hibernated' || row.observed_state === 'running') return;
  for (const disk of drivenDisks(row)) await requireDriver(tx, row.host_id, disk);
}

function drivenDisks({ hardware, root_disk_driver: driver, volumes }: InstanceRow): DrivenDisk[] {
  return [
    ...(driver ? [{ label: 'root disk', driver, hardware, scratch: false }] : []),
    ...volumes.flatMap((volume) =>
      volume.driver && !volume.detaching
        ? [{ label: `volume ${volume.name}`, driver: volume.driver, hardware, scratch: volume.scratch }]
        : [],
    ),
  ];
}
