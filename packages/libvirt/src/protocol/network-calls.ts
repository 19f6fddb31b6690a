// Calls on virtual networks.
import { bool, hyper, int, list, struct, uint, uuid } from '../xdr/schema.ts';
import { eventKind, networkEvents } from './event-registration.ts';
import { maxListLength, network, optionalText, text } from './objects.ts';
import { remote } from './procedure.ts';

const networkOnly = struct({ network });
const xmlAndFlags = struct({ xml: text, flags: uint });

export const connectListAllNetworks = remote(
  283,
  'connectListAllNetworks',
  struct({ needResults: bool, flags: uint }),
  struct({ networks: list(network, maxListLength), count: uint }),
);
export const networkLookupByName = remote(46, 'networkLookupByName', struct({ name: text }), networkOnly);
export const networkLookupByUuid = remote(47, 'networkLookupByUuid', struct({ uuid }), networkOnly);
export const networkDefineXml = remote(41, 'networkDefineXml', struct({ xml: text }), networkOnly);
export const networkDefineXmlFlags = remote(432, 'networkDefineXmlFlags', xmlAndFlags, networkOnly);
export const networkCreateXml = remote(40, 'networkCreateXml', struct({ xml: text }), networkOnly);
export const networkCreate = remote(39, 'networkCreate', networkOnly);
export const networkDestroy = remote(42, 'networkDestroy', networkOnly);
export const networkUndefine = remote(49, 'networkUndefine', networkOnly);
export const networkGetXmlDesc = remote(
  43,
  'networkGetXmlDesc',
  struct({ network, flags: uint }),
  struct({ xml: text }),
);
export const networkGetAutostart = remote(44, 'networkGetAutostart', networkOnly, struct({ autostart: bool }));
export const networkSetAutostart = remote(48, 'networkSetAutostart', struct({ network, autostart: bool }));
export const networkGetBridgeName = remote(45, 'networkGetBridgeName', networkOnly, struct({ name: text }));
export const networkIsActive = remote(152, 'networkIsActive', networkOnly, struct({ active: bool }));
export const networkIsPersistent = remote(153, 'networkIsPersistent', networkOnly, struct({ persistent: bool }));
export const networkUpdate = remote(
  291,
  'networkUpdate',
  struct({ network, command: uint, section: uint, parentIndex: int, xml: text, flags: uint }),
);
export const networkGetDhcpLeases = remote(
  341,
  'networkGetDhcpLeases',
  struct({ network, mac: optionalText, needResults: bool, flags: uint }),
  struct({
    leases: list(
      struct({
        interface: text,
        expiryTime: hyper,
        type: int,
        mac: optionalText,
        iaid: optionalText,
        address: text,
        prefix: uint,
        hostname: optionalText,
        clientId: optionalText,
      }),
      65_536,
    ),
    count: uint,
  }),
);
export const networkLifecycle = eventKind(
  networkEvents,
  'network lifecycle',
  0,
  315,
  struct({ callbackId: int, network, event: int, detail: int }),
);
