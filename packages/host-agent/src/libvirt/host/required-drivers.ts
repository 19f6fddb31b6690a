// Refuses, before anything changes, what disks of an instance are to have and this host cannot give or must not. Asks only
// about disks that come to be so now: one that runs goes on when a battery fails meanwhile, and says so at its next start.
import { isDeepStrictEqual } from 'node:util';
import type { DesiredInstance, DiskDriver } from '@virga/contract/agent/desired';
import { type DrivenDisk, refuseDriver, refuseDriverOnHost } from '@virga/contract/agent/disk-driver';
import { VirgaError } from '@virga/contract/errors';
import type { AgentContext } from '../agent-context.ts';
import { readVolume } from '../volumes/volume-folder.ts';

type Before = Pick<DesiredInstance, 'rootDisk' | 'volumes' | 'hardware'> | undefined;

/**
 * @param before what has been applied to a domain that goes on running; undefined when it is started now
 * @throws InvalidArgument | HostIncapable | VolatileWriteCache
 */
export async function requireDrivers(context: AgentContext, desired: DesiredInstance, before: Before): Promise<void> {
  const disks = await drivenDisks(context, desired, before);
  if (disks.length === 0) return;
  for (const disk of disks) refuseDriver(disk);
  const refuse = async (now: boolean) => {
    const { devices, abilities } = await context.disks.sight({ now });
    const host = { label: 'The host', devices, abilities, allowed: desired.volatileWriteback ?? [] };
    for (const disk of disks) refuseDriverOnHost(disk, host);
  };
  try {
    await refuse(false);
  } catch (error) {
    if (!(error instanceof VirgaError) || error.code === 'HostUnavailable') throw error;
    // What was seen a moment ago may have been repaired since.
    await refuse(true);
  }
}

async function drivenDisks({ storage }: AgentContext, desired: DesiredInstance, before: Before): Promise<DrivenDisk[]> {
  const { hardware, rootDisk, volumes } = desired;
  const changed = (driver: DiskDriver | undefined, was: DiskDriver | undefined) =>
    driver !== undefined && (before === undefined || before.hardware !== hardware || !isDeepStrictEqual(driver, was));
  const disks: DrivenDisk[] = [];
  if (rootDisk.driver && changed(rootDisk.driver, before?.rootDisk.driver)) {
    disks.push({ label: 'root disk', driver: rootDisk.driver, hardware, scratch: false, field: '/rootDisk/driver' });
  }
  for (const [index, { id, driver }] of volumes.entries()) {
    if (!driver || !changed(driver, before?.volumes.find((one) => one.id === id)?.driver)) continue;
    const volume = await readVolume(storage, id);
    const scratch = volume?.scratch === true;
    const label = `volume ${volume?.name ?? id}`;
    disks.push({ label, driver, hardware, scratch, field: `/volumes/${index}/driver` });
  }
  return disks;
}
