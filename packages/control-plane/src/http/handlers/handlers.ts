// Every handler of the REST front: one a route of the contract. A route without one does not compile.
import type { FrontDeps, Handlers } from '../handler.ts';
import { backupHandlers } from './backup-handlers.ts';
import {
  hostHandlers,
  imageHandlers,
  instanceHandlers,
  keyPairHandlers,
  networkHandlers,
  resizeHandlers,
} from './compute-handlers.ts';
import { definitionHandlers } from './definition-handlers.ts';
import { consoleHandlers, guestHandlers } from './guest-handlers.ts';
import { hardwareHandlers } from './hardware-handlers.ts';
import { hostBenchHandlers } from './host-bench-handlers.ts';
import { hostCheckHandlers } from './host-check-handlers.ts';
import { hostCpuHandlers } from './host-cpu-handlers.ts';
import { hostDiskHandlers } from './host-disk-handlers.ts';
import { hostMemoryHandlers } from './host-memory-handlers.ts';
import { hostTuningHandlers } from './host-tuning-handlers.ts';
import { identityHandlers } from './identity-handlers.ts';
import { imageBuildHandlers } from './image-build-handlers.ts';
import { imageImportHandlers } from './image-import-handlers.ts';
import { instrumentHandlers } from './instrument-handlers.ts';
import { interopHandlers } from './interop-handlers.ts';
import { policyHandlers } from './policy-handlers.ts';
import { poolHandlers } from './pool-handlers.ts';
import { powerHandlers } from './power-handlers.ts';
import { eventHandlers, healthHandlers, operationHandlers } from './record-handlers.ts';
import { rootDiskMoveHandlers } from './root-disk-move-handlers.ts';
import { snapshotHandlers } from './snapshot-handlers.ts';
import { usageHandlers } from './usage-handlers.ts';
import { instanceDeviceHandlers, volumeHandlers } from './volume-handlers.ts';
import { volumeMoveHandlers } from './volume-move-handlers.ts';
import { warmHandlers } from './warm-handlers.ts';

export function createHandlers(deps: FrontDeps): Handlers {
  return {
    ...healthHandlers(deps),
    ...identityHandlers(deps),
    ...hostHandlers(deps),
    ...hostBenchHandlers(deps),
    ...usageHandlers(deps),
    ...hostTuningHandlers(deps),
    ...hostCpuHandlers(deps),
    ...hostCheckHandlers(deps),
    ...hostMemoryHandlers(deps),
    ...hostDiskHandlers(deps),
    ...keyPairHandlers(deps),
    ...imageHandlers(deps),
    ...imageImportHandlers(deps),
    ...imageBuildHandlers(deps),
    ...warmHandlers(deps),
    ...networkHandlers(deps),
    ...poolHandlers(deps),
    ...volumeHandlers(deps),
    ...volumeMoveHandlers(deps),
    ...rootDiskMoveHandlers(deps),
    ...snapshotHandlers(deps),
    ...instanceHandlers(deps),
    ...powerHandlers(deps),
    ...instanceDeviceHandlers(deps),
    ...consoleHandlers(deps),
    ...guestHandlers(deps),
    ...resizeHandlers(deps),
    ...hardwareHandlers(deps),
    ...policyHandlers(deps),
    ...instrumentHandlers(deps),
    ...interopHandlers(deps),
    ...definitionHandlers(deps),
    ...backupHandlers(deps),
    ...operationHandlers(deps),
    ...eventHandlers(deps),
  };
}
