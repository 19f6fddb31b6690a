// Calls on secrets.
import { bool, int, list, opaque, struct, uint, uuid } from '../xdr/schema.ts';
import { eventKind, secretEvents } from './event-registration.ts';
import { maxListLength, secret, text } from './objects.ts';
import { remote } from './procedure.ts';

const secretOnly = struct({ secret });
const secretAndFlags = struct({ secret, flags: uint });
const secretValue = opaque(65_536);

export const connectListAllSecrets = remote(
  287,
  'connectListAllSecrets',
  struct({ needResults: bool, flags: uint }),
  struct({ secrets: list(secret, maxListLength), count: uint }),
);
export const secretLookupByUuid = remote(141, 'secretLookupByUuid', struct({ uuid }), secretOnly);
export const secretLookupByUsage = remote(
  147,
  'secretLookupByUsage',
  struct({ usageType: int, usageId: text }),
  secretOnly,
);
export const secretDefineXml = remote(142, 'secretDefineXml', struct({ xml: text, flags: uint }), secretOnly);
export const secretUndefine = remote(146, 'secretUndefine', secretOnly);
export const secretGetXmlDesc = remote(143, 'secretGetXmlDesc', secretAndFlags, struct({ xml: text }));
export const secretSetValue = remote(144, 'secretSetValue', struct({ secret, value: secretValue, flags: uint }));
export const secretGetValue = remote(145, 'secretGetValue', secretAndFlags, struct({ value: secretValue }));
export const secretLifecycle = eventKind(
  secretEvents,
  'secret lifecycle',
  0,
  382,
  struct({ callbackId: int, secret, event: int, detail: int }),
);
