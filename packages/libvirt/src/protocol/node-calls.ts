// Calls about the host and the hypervisor.
import { bool, charArray, int, list, nothing, opaque, size, struct, uint, unsignedHyper } from '../xdr/schema.ts';
import { optionalText, text } from './objects.ts';
import { remote } from './procedure.ts';

const maxNodeCells = 1024;
const namedCounter = struct({ name: text, value: unsignedHyper });
const version = struct({ version: size });

export const nodeGetInfo = remote(
  6,
  'nodeGetInfo',
  nothing,
  struct({
    model: charArray(32),
    memoryKib: size,
    cpus: int,
    mhz: int,
    numaCells: int,
    socketsPerCell: int,
    coresPerSocket: int,
    threadsPerCore: int,
  }),
);
export const nodeGetCpuMap = remote(
  293,
  'nodeGetCpuMap',
  struct({ needMap: bool, needOnline: bool, flags: uint }),
  struct({ map: opaque(2048), online: uint, present: int }),
);
export const nodeGetCpuStats = remote(
  227,
  'nodeGetCpuStats',
  struct({ cpu: int, maxCounters: int, flags: uint }),
  struct({ counters: list(namedCounter, 16), count: int }),
);
export const nodeGetMemoryStats = remote(
  228,
  'nodeGetMemoryStats',
  struct({ maxCounters: int, cell: int, flags: uint }),
  struct({ counters: list(namedCounter, 16), count: int }),
);
export const nodeGetCellsFreeMemory = remote(
  101,
  'nodeGetCellsFreeMemory',
  struct({ startCell: int, maxCells: int }),
  struct({ cells: list(size, maxNodeCells) }),
);
export const nodeGetFreeMemory = remote(102, 'nodeGetFreeMemory', nothing, struct({ freeBytes: size }));
export const nodeGetFreePages = remote(
  340,
  'nodeGetFreePages',
  struct({ pageSizesKib: list(uint, maxNodeCells), startCell: int, cellCount: uint, flags: uint }),
  struct({ counts: list(size, maxNodeCells) }),
);
export const nodeAllocPages = remote(
  347,
  'nodeAllocPages',
  struct({
    pageSizesKib: list(uint, maxNodeCells),
    pageCounts: list(size, maxNodeCells),
    startCell: int,
    cellCount: uint,
    flags: uint,
  }),
  struct({ allocated: int }),
);
export const nodeGetSecurityModel = remote(
  122,
  'nodeGetSecurityModel',
  nothing,
  struct({ model: list(int, 257), doi: list(int, 257) }),
);
export const connectGetCapabilities = remote(7, 'connectGetCapabilities', nothing, struct({ xml: text }));
export const connectGetDomainCapabilities = remote(
  342,
  'connectGetDomainCapabilities',
  struct({
    emulator: optionalText,
    arch: optionalText,
    machine: optionalText,
    virtType: optionalText,
    flags: uint,
  }),
  struct({ xml: text }),
);
export const connectGetSysinfo = remote(203, 'connectGetSysinfo', struct({ flags: uint }), struct({ xml: text }));
export const connectGetType = remote(3, 'connectGetType', nothing, struct({ type: text }));
export const connectGetVersion = remote(4, 'connectGetVersion', nothing, version);
export const connectGetLibVersion = remote(157, 'connectGetLibVersion', nothing, version);
export const connectGetHostname = remote(59, 'connectGetHostname', nothing, struct({ hostname: text }));
export const connectGetMaxVcpus = remote(
  5,
  'connectGetMaxVcpus',
  struct({ type: optionalText }),
  struct({ maxVcpus: int }),
);
export const connectIsSecure = remote(149, 'connectIsSecure', nothing, struct({ secure: bool }));
export const connectGetCpuModelNames = remote(
  312,
  'connectGetCpuModelNames',
  struct({ arch: text, needResults: bool, flags: uint }),
  struct({ models: list(text, 8192), count: int }),
);
export const connectCompareCpu = remote(
  158,
  'connectCompareCpu',
  struct({ xml: text, flags: uint }),
  struct({ result: int }),
);
export const connectBaselineCpu = remote(
  162,
  'connectBaselineCpu',
  struct({ xmls: list(text, 256), flags: uint }),
  struct({ xml: text }),
);
const hypervisorCpu = { emulator: optionalText, arch: optionalText, machine: optionalText, virtType: optionalText };
export const connectCompareHypervisorCpu = remote(
  393,
  'connectCompareHypervisorCpu',
  struct({ ...hypervisorCpu, xml: text, flags: uint }),
  struct({ result: int }),
);
export const connectBaselineHypervisorCpu = remote(
  394,
  'connectBaselineHypervisorCpu',
  struct({ ...hypervisorCpu, xmls: list(text, 256), flags: uint }),
  struct({ xml: text }),
);
