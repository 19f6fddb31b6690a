// Limits of disks and cards of a domain that runs: those that differ from what is desired are set. The definition has them
// from elsewhere.
import { isDeepStrictEqual } from 'node:util';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { bandwidthValues, diskSerial, ioTuneValues } from './device-xml.ts';
import type { SeenDevices } from './seen-devices.ts';

export async function limitDevices(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  seen: SeenDevices,
): Promise<void> {
  for (const { id, limits } of [desired.rootDisk, ...desired.volumes]) {
    const target = seen.targets.get(diskSerial(id));
    const wanted = ioTuneValues(limits);
    if (target === undefined || isDeepStrictEqual(seen.ioTunes.get(target), wanted)) continue;
    await context.hook('limit-disk', desired.id);
    await context.hypervisor.act(`limit ${id}`, ({ domains }) =>
      domains.setBlockIoTune(
        ref,
        target,
        {
          totalBytesPerSecond: wanted.total_bytes_sec,
          totalIopsPerSecond: wanted.total_iops_sec,
          totalBytesPerSecondMax: wanted.total_bytes_sec_max,
          totalIopsPerSecondMax: wanted.total_iops_sec_max,
          totalBytesPerSecondMaxSeconds: wanted.total_bytes_sec_max_length,
          totalIopsPerSecondMaxSeconds: wanted.total_iops_sec_max_length,
        },
        { live: true },
      ),
    );
  }
  for (const { id, mac, limits } of desired.nics) {
    const nic = seen.nics.find((one) => one.id === id);
    const wanted = bandwidthValues(limits);
    if (nic === undefined || isDeepStrictEqual(nic.limits, wanted)) continue;
    await context.hook('limit-nic', desired.id);
    await context.hypervisor.act(`limit ${id}`, ({ domains }) =>
      domains.setInterfaceParameters(
        ref,
        mac,
        {
          inboundAverageKibPerSecond: wanted.inbound.average,
          inboundBurstKib: wanted.inbound.burst,
          outboundAverageKibPerSecond: wanted.outbound.average,
          outboundBurstKib: wanted.outbound.burst,
        },
        { live: true },
      ),
    );
  }
}
