// Calls that open, authenticate and end a session, before anything is asked of a hypervisor.
import { bool, int, list, nothing, struct, uint } from '../xdr/schema.ts';
import { optionalText, text } from './objects.ts';
import { remote } from './procedure.ts';

export const connectOpen = remote(1, 'connectOpen', struct({ name: optionalText, flags: uint }));
export const connectClose = remote(2, 'connectClose', nothing);
export const authList = remote(66, 'authList', nothing, struct({ types: list(int, 20) }));
export const authPolkit = remote(70, 'authPolkit', nothing, struct({ complete: int }));
export const connectSupportsFeature = remote(
  60,
  'connectSupportsFeature',
  struct({ feature: int }),
  struct({ supported: bool }),
);
export const connectGetUri = remote(110, 'connectGetUri', nothing, struct({ uri: text }));

export const authType = { none: 0, sasl: 1, polkit: 2 } as const;
export const feature = { programKeepalive: 10, networkUpdateHasCorrectOrder: 16 } as const;
export const openFlag = { readOnly: 1 } as const;
