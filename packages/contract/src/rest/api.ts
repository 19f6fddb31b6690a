// The whole REST interface as one table of routes. Fronts and clients walk it; nothing else lists routes.
import { Type } from 'typebox';
import { route } from '../route.ts';
import { backupStoreRoutes } from './backup-stores.ts';
import { backupRoutes } from './backups.ts';
import { definitionRoutes } from './definition-routes.ts';
import { eventRoutes } from './events.ts';
import { hostBenchRoutes } from './host-bench.ts';
import { hostCheckRoutes } from './host-checks.ts';
import { hostCpuRoutes } from './host-cpus.ts';
import { hostDiskRoutes } from './host-disks.ts';
import { hostMemoryRoutes } from './host-memory.ts';
import { hostTuningRoutes } from './host-tuning.ts';
import { hostUsageRoutes } from './host-usage.ts';
import { hostRoutes } from './hosts.ts';
import { identityRoutes } from './identity.ts';
import { imageBuildRoutes } from './image-build.ts';
import { imageImportRoutes } from './image-import.ts';
import { imageRoutes } from './images.ts';
import { instanceConsoleRoutes } from './instance-consoles.ts';
import { instanceCpuRoutes } from './instance-cpu-change.ts';
import { instanceDeviceRoutes } from './instance-device-changes.ts';
import { instanceGuestRoutes } from './instance-guest.ts';
import { instanceHardwareRoutes } from './instance-hardware-change.ts';
import { instrumentRoutes } from './instance-instruments.ts';
import { instancePowerRoutes } from './instance-power.ts';
import { instanceResizeRoutes } from './instance-resize.ts';
import { instanceScheduleRoutes } from './instance-schedules.ts';
import { instanceUpdateRoutes } from './instance-update.ts';
import { instanceRoutes } from './instances.ts';
import { interopRoutes } from './interop.ts';
import { keyPairRoutes } from './key-pairs.ts';
import { networkRoutes } from './networks.ts';
import { operationRoutes } from './operations.ts';
import { poolRoutes } from './pools.ts';
import { rootDiskMoveRoutes } from './root-disk-moves.ts';
import { snapshotRoutes } from './snapshots.ts';
import { volumeMoveRoutes } from './volume-moves.ts';
import { volumeTypeRoutes } from './volume-types.ts';
import { volumeRoutes } from './volumes.ts';
import { warmRoutes } from './warm-images.ts';

const healthRoutes = {
  getHealth: route({
    method: 'GET',
    path: '/v1/health',
    summary: 'Whether the server can serve',
    access: { scope: 'public' },
    ok: Type.Object({ status: Type.Literal('ok'), version: Type.String(), cloudId: Type.String() }),
  }),
};

export const api = {
  ...healthRoutes,
  ...identityRoutes,
  ...hostRoutes,
  ...hostBenchRoutes,
  ...hostTuningRoutes,
  ...hostUsageRoutes,
  ...hostCpuRoutes,
  ...hostCheckRoutes,
  ...hostMemoryRoutes,
  ...hostDiskRoutes,
  ...keyPairRoutes,
  ...imageRoutes,
  ...imageImportRoutes,
  ...imageBuildRoutes,
  ...warmRoutes,
  ...networkRoutes,
  ...poolRoutes,
  ...volumeTypeRoutes,
  ...volumeRoutes,
  ...volumeMoveRoutes,
  ...rootDiskMoveRoutes,
  ...snapshotRoutes,
  ...instanceRoutes,
  ...instancePowerRoutes,
  ...instanceConsoleRoutes,
  ...instanceGuestRoutes,
  ...instanceResizeRoutes,
  ...instanceCpuRoutes,
  ...instanceHardwareRoutes,
  ...instanceDeviceRoutes,
  ...instrumentRoutes,
  ...instanceUpdateRoutes,
  ...instanceScheduleRoutes,
  ...interopRoutes,
  ...definitionRoutes,
  ...backupStoreRoutes,
  ...backupRoutes,
  ...operationRoutes,
  ...eventRoutes,
};

export type Api = typeof api;
export type RouteName = keyof Api;
