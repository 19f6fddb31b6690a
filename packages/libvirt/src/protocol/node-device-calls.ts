// Calls on the host's devices.
import { bool, int, list, struct, uint } from '../xdr/schema.ts';
import { eventKind, nodeDeviceEvents } from './event-registration.ts';
import { nodeDevice, optionalText, text } from './objects.ts';
import { remote } from './procedure.ts';

const maxDevices = 65_536;
const nameOnly = struct({ name: text });
const xmlAndFlags = struct({ xml: text, flags: uint });
const deviceOnly = struct({ device: nodeDevice });

export const connectListAllNodeDevices = remote(
  285,
  'connectListAllNodeDevices',
  struct({ needResults: bool, flags: uint }),
  struct({ devices: list(nodeDevice, maxDevices), count: uint }),
);
export const nodeDeviceLookupByName = remote(113, 'nodeDeviceLookupByName', nameOnly, deviceOnly);
export const nodeDeviceGetXmlDesc = remote(
  114,
  'nodeDeviceGetXmlDesc',
  struct({ name: text, flags: uint }),
  struct({ xml: text }),
);
export const nodeDeviceGetParent = remote(115, 'nodeDeviceGetParent', nameOnly, struct({ parent: optionalText }));
export const nodeDeviceNumOfCaps = remote(116, 'nodeDeviceNumOfCaps', nameOnly, struct({ count: int }));
export const nodeDeviceListCaps = remote(
  117,
  'nodeDeviceListCaps',
  struct({ name: text, maxNames: int }),
  struct({ names: list(text, maxDevices) }),
);
export const nodeDeviceDetachFlags = remote(
  301,
  'nodeDeviceDetachFlags',
  struct({ name: text, driver: optionalText, flags: uint }),
);
export const nodeDeviceReAttach = remote(119, 'nodeDeviceReAttach', nameOnly);
export const nodeDeviceReset = remote(120, 'nodeDeviceReset', nameOnly);
export const nodeDeviceCreateXml = remote(123, 'nodeDeviceCreateXml', xmlAndFlags, deviceOnly);
export const nodeDeviceDestroy = remote(124, 'nodeDeviceDestroy', nameOnly);
export const nodeDeviceLifecycle = eventKind(
  nodeDeviceEvents,
  'node device lifecycle',
  0,
  376,
  struct({ callbackId: int, device: nodeDevice, event: int, detail: int }),
);
