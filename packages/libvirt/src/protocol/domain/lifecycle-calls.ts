// Calls that find, define, start, stop and describe domains.
import { bool, int, list, size, struct, uint, unsignedHyper, uuid } from '../../xdr/schema.ts';
import { domain, maxListLength, optionalText, text } from '../objects.ts';
import { remote, slowRemote } from '../procedure.ts';
import { typedParameters } from '../typed-parameters.ts';

const domainOnly = struct({ domain });
const domainAndFlags = struct({ domain, flags: uint });
const xmlAndFlags = struct({ xml: text, flags: uint });

export const connectListAllDomains = remote(
  273,
  'connectListAllDomains',
  struct({ needResults: bool, flags: uint }),
  struct({ domains: list(domain, maxListLength), count: uint }),
);
export const domainLookupById = remote(22, 'domainLookupById', struct({ id: int }), domainOnly);
export const domainLookupByName = remote(23, 'domainLookupByName', struct({ name: text }), domainOnly);
export const domainLookupByUuid = remote(24, 'domainLookupByUuid', struct({ uuid }), domainOnly);
export const domainDefineXmlFlags = remote(350, 'domainDefineXmlFlags', xmlAndFlags, domainOnly);
export const connectDomainXmlToNative = remote(
  136,
  'connectDomainXmlToNative',
  struct({ format: text, xml: text, flags: uint }),
  struct({ config: text }),
);
export const domainUndefineFlags = remote(231, 'domainUndefineFlags', domainAndFlags);
export const domainCreateXml = slowRemote(10, 'domainCreateXml', xmlAndFlags, domainOnly);
export const domainCreateWithFlags = slowRemote(196, 'domainCreateWithFlags', domainAndFlags, domainOnly);
export const domainDestroyFlags = slowRemote(234, 'domainDestroyFlags', domainAndFlags);
export const domainSaveImageGetXmlDesc = remote(
  235,
  'domainSaveImageGetXmlDesc',
  struct({ path: text, flags: uint }),
  struct({ xml: text }),
);
export const domainShutdownFlags = remote(258, 'domainShutdownFlags', domainAndFlags);
export const domainReboot = remote(27, 'domainReboot', domainAndFlags);
export const domainReset = remote(245, 'domainReset', domainAndFlags);
export const domainSuspend = remote(34, 'domainSuspend', domainOnly);
export const domainResume = remote(28, 'domainResume', domainOnly);
export const domainGetXmlDesc = remote(14, 'domainGetXmlDesc', domainAndFlags, struct({ xml: text }));
export const domainGetState = remote(212, 'domainGetState', domainAndFlags, struct({ state: int, reason: int }));
export const domainGetInfo = remote(
  16,
  'domainGetInfo',
  domainOnly,
  struct({ state: uint, maxMemoryKib: size, memoryKib: size, vcpus: uint, cpuTimeNs: unsignedHyper }),
);
export const domainIsActive = remote(150, 'domainIsActive', domainOnly, struct({ active: bool }));
export const domainIsPersistent = remote(151, 'domainIsPersistent', domainOnly, struct({ persistent: bool }));
export const domainIsUpdated = remote(202, 'domainIsUpdated', domainOnly, struct({ updated: bool }));
export const domainGetAutostart = remote(15, 'domainGetAutostart', domainOnly, struct({ autostart: bool }));
export const domainSetAutostart = remote(29, 'domainSetAutostart', struct({ domain, autostart: bool }));
export const domainRename = remote(
  358,
  'domainRename',
  struct({ domain, newName: optionalText, flags: uint }),
  struct({ result: int }),
);
export const connectGetAllDomainStats = remote(
  344,
  'connectGetAllDomainStats',
  struct({ domains: list(domain, maxListLength), stats: uint, flags: uint }),
  struct({ records: list(struct({ domain, parameters: typedParameters(262_144) }), maxListLength) }),
);
export const domainManagedSave = slowRemote(182, 'domainManagedSave', domainAndFlags);
export const domainHasManagedSaveImage = remote(
  183,
  'domainHasManagedSaveImage',
  domainAndFlags,
  struct({ present: bool }),
);
export const domainManagedSaveGetXmlDesc = remote(
  388,
  'domainManagedSaveGetXmlDesc',
  domainAndFlags,
  struct({ xml: text }),
);
export const domainManagedSaveRemove = remote(184, 'domainManagedSaveRemove', domainAndFlags);
export const domainSaveFlags = slowRemote(
  232,
  'domainSaveFlags',
  struct({ domain, path: text, domainXml: optionalText, flags: uint }),
);
export const domainRestoreFlags = slowRemote(
  233,
  'domainRestoreFlags',
  struct({ path: text, domainXml: optionalText, flags: uint }),
);
