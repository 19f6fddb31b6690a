// Calls that reach into the guest (through its agent) or past libvirt (QEMU's monitor), and what a domain carries about
// itself.
import { hyper, int, list, size, struct, uint } from '../../xdr/schema.ts';
import { domain, optionalText, text } from '../objects.ts';
import { qemu, remote, slowRemote } from '../procedure.ts';
import { typedParameters } from '../typed-parameters.ts';

const domainAndFlags = struct({ domain, flags: uint });
const mountPoints = struct({ domain, mountPoints: list(text, 256), flags: uint });
const fileSystems = struct({ fileSystems: int });

export const qemuMonitorCommand = qemu(
  1,
  'qemuMonitorCommand',
  struct({ domain, command: text, flags: uint }),
  struct({ result: text }),
);
export const qemuAgentCommand = qemu(
  3,
  'qemuAgentCommand',
  struct({ domain, command: text, timeoutSeconds: int, flags: uint }),
  struct({ result: optionalText }),
);
export const domainSetMetadata = remote(
  264,
  'domainSetMetadata',
  struct({ domain, type: int, metadata: optionalText, key: optionalText, uri: optionalText, flags: uint }),
);
export const domainGetMetadata = remote(
  265,
  'domainGetMetadata',
  struct({ domain, type: int, uri: optionalText, flags: uint }),
  struct({ metadata: text }),
);
export const domainFsfreeze = slowRemote(335, 'domainFsfreeze', mountPoints, fileSystems);
export const domainFsthaw = slowRemote(336, 'domainFsthaw', mountPoints, fileSystems);
export const domainFstrim = slowRemote(
  294,
  'domainFstrim',
  struct({ domain, mountPoint: optionalText, minimumBytes: size, flags: uint }),
);
export const domainGetFsinfo = remote(
  349,
  'domainGetFsinfo',
  domainAndFlags,
  struct({
    fileSystems: list(struct({ mountPoint: text, name: text, type: text, deviceAliases: list(text, 256) }), 256),
    count: uint,
  }),
);
export const domainGetTime = remote(
  337,
  'domainGetTime',
  domainAndFlags,
  struct({ seconds: hyper, nanoseconds: uint }),
);
export const domainSetTime = remote(
  338,
  'domainSetTime',
  struct({ domain, seconds: hyper, nanoseconds: uint, flags: uint }),
);
export const domainGetGuestInfo = remote(
  418,
  'domainGetGuestInfo',
  struct({ domain, types: uint, flags: uint }),
  struct({ parameters: typedParameters(2048) }),
);
export const domainGetHostname = remote(277, 'domainGetHostname', domainAndFlags, struct({ hostname: text }));
export const domainSetUserPassword = remote(
  357,
  'domainSetUserPassword',
  struct({ domain, user: optionalText, password: optionalText, flags: uint }),
);
export const domainAuthorizedSshKeysGet = remote(
  424,
  'domainAuthorizedSshKeysGet',
  struct({ domain, user: text, flags: uint }),
  struct({ keys: list(text, 2048) }),
);
export const domainAuthorizedSshKeysSet = remote(
  425,
  'domainAuthorizedSshKeysSet',
  struct({ domain, user: text, keys: list(text, 2048), flags: uint }),
);
export const domainAgentSetResponseTimeout = remote(
  420,
  'domainAgentSetResponseTimeout',
  struct({ domain, timeoutSeconds: int, flags: uint }),
  struct({ result: int }),
);
export const domainGetMessages = remote(
  426,
  'domainGetMessages',
  domainAndFlags,
  struct({ messages: list(text, 2048) }),
);
