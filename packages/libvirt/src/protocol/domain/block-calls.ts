// Calls on a domain's disks and the jobs that run on them.
import { bool, int, list, size, struct, uint } from '../../xdr/schema.ts';
import { domain, optionalText, text } from '../objects.ts';
import { remote, slowRemote } from '../procedure.ts';
import { typedParameters } from '../typed-parameters.ts';

const diskAndFlags = struct({ domain, disk: text, flags: uint });
const diskBandwidth = struct({ domain, disk: text, bandwidth: size, flags: uint });

export const domainBlockResize = slowRemote(
  251,
  'domainBlockResize',
  struct({ domain, disk: text, sizeBytes: size, flags: uint }),
);
export const domainGetBlockInfo = remote(
  194,
  'domainGetBlockInfo',
  diskAndFlags,
  struct({ allocationBytes: size, capacityBytes: size, physicalBytes: size }),
);
export const domainBlockStatsFlags = remote(
  243,
  'domainBlockStatsFlags',
  struct({ domain, disk: text, count: int, flags: uint }),
  struct({ parameters: typedParameters(16), count: int }),
);
export const domainGetDiskErrors = remote(
  263,
  'domainGetDiskErrors',
  struct({ domain, maxErrors: uint, flags: uint }),
  struct({ errors: list(struct({ disk: text, error: int }), 256), count: int }),
);
export const domainBlockCommit = slowRemote(
  290,
  'domainBlockCommit',
  struct({ domain, disk: text, base: optionalText, top: optionalText, bandwidth: size, flags: uint }),
);
export const domainBlockPull = slowRemote(240, 'domainBlockPull', diskBandwidth);
export const domainBlockRebase = slowRemote(
  266,
  'domainBlockRebase',
  struct({ domain, disk: text, base: optionalText, bandwidth: size, flags: uint }),
);
export const domainBlockCopy = slowRemote(
  345,
  'domainBlockCopy',
  struct({ domain, disk: text, destinationXml: text, parameters: typedParameters(16), flags: uint }),
);
export const domainBlockJobAbort = slowRemote(237, 'domainBlockJobAbort', diskAndFlags);
export const domainGetBlockJobInfo = remote(
  238,
  'domainGetBlockJobInfo',
  diskAndFlags,
  struct({ found: bool, type: int, bandwidth: size, current: size, end: size }),
);
export const domainBlockJobSetSpeed = remote(239, 'domainBlockJobSetSpeed', diskBandwidth);
export const domainSetBlockIoTune = remote(
  252,
  'domainSetBlockIoTune',
  struct({ domain, disk: text, parameters: typedParameters(32), flags: uint }),
);
export const domainGetBlockIoTune = remote(
  253,
  'domainGetBlockIoTune',
  struct({ domain, disk: optionalText, count: int, flags: uint }),
  struct({ parameters: typedParameters(32), count: int }),
);
export const domainSetBlockThreshold = remote(
  386,
  'domainSetBlockThreshold',
  struct({ domain, device: text, thresholdBytes: size, flags: uint }),
);
export const domainBackupBegin = slowRemote(
  421,
  'domainBackupBegin',
  struct({ domain, backupXml: text, checkpointXml: optionalText, flags: uint }),
);
export const domainBackupGetXmlDesc = remote(
  422,
  'domainBackupGetXmlDesc',
  struct({ domain, flags: uint }),
  struct({ xml: text }),
);
export const domainGetJobStats = remote(
  298,
  'domainGetJobStats',
  struct({ domain, flags: uint }),
  struct({ type: int, parameters: typedParameters(64) }),
);
export const domainAbortJob = remote(164, 'domainAbortJob', struct({ domain }));
