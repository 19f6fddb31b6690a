// Calls on what a domain gets of the host: processors, memory, and the limits on both.
import { bool, int, list, opaque, size, struct, uint } from '../../xdr/schema.ts';
import { domain, text } from '../objects.ts';
import { remote } from '../procedure.ts';
import { typedParameters } from '../typed-parameters.ts';

const maxCpuMapBytes = 2048;
const maxCpuMapsBytes = 8 * 1024 * 1024;
const domainAndFlags = struct({ domain, flags: uint });
const cpuMap = opaque(maxCpuMapBytes);

export const domainSetVcpusFlags = remote(199, 'domainSetVcpusFlags', struct({ domain, vcpus: uint, flags: uint }));
export const domainGetVcpusFlags = remote(200, 'domainGetVcpusFlags', domainAndFlags, struct({ vcpus: int }));
export const domainSetVcpu = remote(
  384,
  'domainSetVcpu',
  struct({ domain, vcpuList: text, online: bool, flags: uint }),
);
export const domainPinVcpuFlags = remote(
  225,
  'domainPinVcpuFlags',
  struct({ domain, vcpu: uint, cpuMap, flags: uint }),
);
export const domainGetVcpuPinInfo = remote(
  230,
  'domainGetVcpuPinInfo',
  struct({ domain, maps: int, mapBytes: int, flags: uint }),
  struct({ cpuMaps: opaque(maxCpuMapsBytes), maps: int }),
);
export const domainGetVcpus = remote(
  20,
  'domainGetVcpus',
  struct({ domain, maxInfo: int, mapBytes: int }),
  struct({
    info: list(struct({ number: uint, state: int, cpuTimeNs: size, cpu: int }), 16_384),
    cpuMaps: opaque(maxCpuMapsBytes),
  }),
);
export const domainPinEmulator = remote(279, 'domainPinEmulator', struct({ domain, cpuMap, flags: uint }));
export const domainGetEmulatorPinInfo = remote(
  280,
  'domainGetEmulatorPinInfo',
  struct({ domain, mapBytes: int, flags: uint }),
  struct({ cpuMap: opaque(maxCpuMapsBytes), result: int }),
);
export const domainGetIothreadInfo = remote(
  351,
  'domainGetIothreadInfo',
  domainAndFlags,
  struct({ info: list(struct({ id: uint, cpuMap }), 16_384), count: uint }),
);
export const domainPinIothread = remote(352, 'domainPinIothread', struct({ domain, id: uint, cpuMap, flags: uint }));
export const domainAddIothread = remote(355, 'domainAddIothread', struct({ domain, id: uint, flags: uint }));
export const domainDelIothread = remote(356, 'domainDelIothread', struct({ domain, id: uint, flags: uint }));

export const domainSetMemoryFlags = remote(
  204,
  'domainSetMemoryFlags',
  struct({ domain, memoryKib: size, flags: uint }),
);
export const domainGetMaxMemory = remote(17, 'domainGetMaxMemory', struct({ domain }), struct({ memoryKib: size }));
export const domainMemoryStats = remote(
  159,
  'domainMemoryStats',
  struct({ domain, maxStats: uint, flags: uint }),
  struct({ stats: list(struct({ tag: int, value: size }), 1024) }),
);
export const domainSetMemoryStatsPeriod = remote(
  308,
  'domainSetMemoryStatsPeriod',
  struct({ domain, periodSeconds: int, flags: uint }),
);

const setParameters = (max: number) => struct({ domain, parameters: typedParameters(max), flags: uint });
const getParameters = struct({ domain, count: int, flags: uint });
const gotParameters = (max: number) => struct({ parameters: typedParameters(max), count: int });

export const domainSetMemoryParameters = remote(197, 'domainSetMemoryParameters', setParameters(16));
export const domainGetMemoryParameters = remote(198, 'domainGetMemoryParameters', getParameters, gotParameters(16));
export const domainSetBlkioParameters = remote(205, 'domainSetBlkioParameters', setParameters(16));
export const domainGetBlkioParameters = remote(206, 'domainGetBlkioParameters', getParameters, gotParameters(16));
export const domainSetNumaParameters = remote(254, 'domainSetNumaParameters', setParameters(16));
export const domainGetNumaParameters = remote(255, 'domainGetNumaParameters', getParameters, gotParameters(16));
export const domainSetSchedulerParametersFlags = remote(219, 'domainSetSchedulerParametersFlags', setParameters(16));
export const domainGetSchedulerParametersFlags = remote(
  223,
  'domainGetSchedulerParametersFlags',
  getParameters,
  struct({ parameters: typedParameters(16) }),
);
