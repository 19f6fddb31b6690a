// Calls on storage pools and volumes.
import { bool, int, list, size, struct, uint, uuid } from '../xdr/schema.ts';
import { eventKind, storagePoolEvents } from './event-registration.ts';
import { maxListLength, optionalText, storagePool, text, volume } from './objects.ts';
import { remote, slowRemote } from './procedure.ts';

const poolOnly = struct({ pool: storagePool });
const poolAndFlags = struct({ pool: storagePool, flags: uint });
const xmlAndFlags = struct({ xml: text, flags: uint });
const xmlOnly = struct({ xml: text });
const volumeOnly = struct({ volume });
const volumeAndFlags = struct({ volume, flags: uint });
const range = struct({ volume, offsetBytes: size, lengthBytes: size, flags: uint });

export const connectListAllStoragePools = remote(
  281,
  'connectListAllStoragePools',
  struct({ needResults: bool, flags: uint }),
  struct({ pools: list(storagePool, maxListLength), count: uint }),
);
export const connectFindStoragePoolSources = slowRemote(
  75,
  'connectFindStoragePoolSources',
  struct({ type: text, sourceXml: optionalText, flags: uint }),
  xmlOnly,
);
export const storagePoolLookupByName = remote(84, 'storagePoolLookupByName', struct({ name: text }), poolOnly);
export const storagePoolLookupByUuid = remote(85, 'storagePoolLookupByUuid', struct({ uuid }), poolOnly);
export const storagePoolLookupByVolume = remote(86, 'storagePoolLookupByVolume', volumeOnly, poolOnly);
export const storagePoolLookupByTargetPath = remote(
  391,
  'storagePoolLookupByTargetPath',
  struct({ path: text }),
  poolOnly,
);
export const storagePoolDefineXml = remote(77, 'storagePoolDefineXml', xmlAndFlags, poolOnly);
export const storagePoolCreateXml = slowRemote(76, 'storagePoolCreateXml', xmlAndFlags, poolOnly);
export const storagePoolCreate = slowRemote(78, 'storagePoolCreate', poolAndFlags);
export const storagePoolBuild = slowRemote(79, 'storagePoolBuild', poolAndFlags);
export const storagePoolDestroy = remote(80, 'storagePoolDestroy', poolOnly);
export const storagePoolDelete = slowRemote(81, 'storagePoolDelete', poolAndFlags);
export const storagePoolUndefine = remote(82, 'storagePoolUndefine', poolOnly);
export const storagePoolRefresh = slowRemote(83, 'storagePoolRefresh', poolAndFlags);
export const storagePoolGetInfo = remote(
  87,
  'storagePoolGetInfo',
  poolOnly,
  struct({ state: int, capacityBytes: size, allocationBytes: size, availableBytes: size }),
);
export const storagePoolGetXmlDesc = remote(88, 'storagePoolGetXmlDesc', poolAndFlags, xmlOnly);
export const storagePoolGetAutostart = remote(89, 'storagePoolGetAutostart', poolOnly, struct({ autostart: bool }));
export const storagePoolSetAutostart = remote(
  90,
  'storagePoolSetAutostart',
  struct({ pool: storagePool, autostart: bool }),
);
export const storagePoolIsActive = remote(154, 'storagePoolIsActive', poolOnly, struct({ active: bool }));
export const storagePoolIsPersistent = remote(155, 'storagePoolIsPersistent', poolOnly, struct({ persistent: bool }));
export const storagePoolListAllVolumes = remote(
  282,
  'storagePoolListAllVolumes',
  struct({ pool: storagePool, needResults: bool, flags: uint }),
  struct({ volumes: list(volume, maxListLength), count: uint }),
);
export const storagePoolLifecycle = eventKind(
  storagePoolEvents,
  'storage pool lifecycle',
  0,
  370,
  struct({ callbackId: int, pool: storagePool, event: int, detail: int }),
);
export const storagePoolRefreshed = eventKind(
  storagePoolEvents,
  'storage pool refresh',
  1,
  373,
  struct({ callbackId: int, pool: storagePool }),
);

export const storageVolCreateXml = slowRemote(
  93,
  'storageVolCreateXml',
  struct({ pool: storagePool, xml: text, flags: uint }),
  volumeOnly,
);
export const storageVolCreateXmlFrom = slowRemote(
  125,
  'storageVolCreateXmlFrom',
  struct({ pool: storagePool, xml: text, source: volume, flags: uint }),
  volumeOnly,
);
export const storageVolDelete = slowRemote(94, 'storageVolDelete', volumeAndFlags);
export const storageVolLookupByName = remote(
  95,
  'storageVolLookupByName',
  struct({ pool: storagePool, name: text }),
  volumeOnly,
);
export const storageVolLookupByKey = remote(96, 'storageVolLookupByKey', struct({ key: text }), volumeOnly);
export const storageVolLookupByPath = remote(97, 'storageVolLookupByPath', struct({ path: text }), volumeOnly);
export const storageVolGetInfoFlags = remote(
  378,
  'storageVolGetInfoFlags',
  volumeAndFlags,
  struct({ type: int, capacityBytes: size, allocationBytes: size }),
);
export const storageVolGetXmlDesc = remote(99, 'storageVolGetXmlDesc', volumeAndFlags, xmlOnly);
export const storageVolGetPath = remote(100, 'storageVolGetPath', volumeOnly, struct({ path: text }));
export const storageVolResize = slowRemote(
  260,
  'storageVolResize',
  struct({ volume, capacityBytes: size, flags: uint }),
);
export const storageVolWipePattern = slowRemote(
  259,
  'storageVolWipePattern',
  struct({ volume, algorithm: uint, flags: uint }),
);
export const storageVolUpload = remote(208, 'storageVolUpload', range);
export const storageVolDownload = remote(209, 'storageVolDownload', range);
