// Calls on a domain's devices: hotplug, network cards, keys, and what its disks and cards did.
import { int, list, struct, uint } from '../../xdr/schema.ts';
import { domain, optionalText, text } from '../objects.ts';
import { remote, slowRemote } from '../procedure.ts';
import { typedParameters } from '../typed-parameters.ts';

const deviceXml = struct({ domain, xml: text, flags: uint });

export const domainAttachDeviceFlags = slowRemote(160, 'domainAttachDeviceFlags', deviceXml);
export const domainDetachDeviceFlags = slowRemote(161, 'domainDetachDeviceFlags', deviceXml);
export const domainUpdateDeviceFlags = slowRemote(174, 'domainUpdateDeviceFlags', deviceXml);
export const domainDetachDeviceAlias = slowRemote(
  392,
  'domainDetachDeviceAlias',
  struct({ domain, alias: text, flags: uint }),
);
export const domainSetInterfaceParameters = remote(
  256,
  'domainSetInterfaceParameters',
  struct({ domain, device: text, parameters: typedParameters(16), flags: uint }),
);
export const domainGetInterfaceParameters = remote(
  257,
  'domainGetInterfaceParameters',
  struct({ domain, device: text, count: int, flags: uint }),
  struct({ parameters: typedParameters(16), count: int }),
);
export const domainInterfaceAddresses = remote(
  353,
  'domainInterfaceAddresses',
  struct({ domain, source: uint, flags: uint }),
  struct({
    interfaces: list(
      struct({
        name: text,
        mac: optionalText,
        addresses: list(struct({ type: int, address: text, prefix: uint }), 2048),
      }),
      2048,
    ),
  }),
);
export const domainSendKey = remote(
  226,
  'domainSendKey',
  struct({ domain, codeSet: uint, holdMs: uint, keyCodes: list(uint, 16), flags: uint }),
);
export const domainInjectNmi = remote(210, 'domainInjectNmi', struct({ domain, flags: uint }));
export const domainOpenConsole = remote(
  201,
  'domainOpenConsole',
  struct({ domain, device: optionalText, flags: uint }),
);
export const domainOpenChannel = remote(296, 'domainOpenChannel', struct({ domain, name: optionalText, flags: uint }));
export const domainScreenshot = remote(
  211,
  'domainScreenshot',
  struct({ domain, screen: uint, flags: uint }),
  struct({ mimeType: optionalText }),
);
