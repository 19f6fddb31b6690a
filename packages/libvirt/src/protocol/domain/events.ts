// The kinds of domain events and their messages, as they are on the wire.
import { hyper, int, list, size, struct, uint } from '../../xdr/schema.ts';
import { domainEvents, eventKind } from '../event-registration.ts';
import { domain, optionalText, text } from '../objects.ts';
import { typedParameters } from '../typed-parameters.ts';

const callbackId = int;
const graphicsAddress = struct({ family: int, node: text, service: text });

const domainOnly = struct({ callbackId, domain });
const withAlias = struct({ callbackId, domain, deviceAlias: text });
const withReasonFirst = struct({ callbackId, reason: int, domain });

export const domainEventKinds = {
  lifecycle: eventKind(domainEvents, 'lifecycle', 0, 318, struct({ callbackId, domain, event: int, detail: int })),
  reboot: eventKind(domainEvents, 'reboot', 1, 319, domainOnly),
  'rtc-change': eventKind(domainEvents, 'rtc-change', 2, 320, struct({ callbackId, domain, offset: hyper })),
  watchdog: eventKind(domainEvents, 'watchdog', 3, 321, struct({ callbackId, domain, action: int })),
  graphics: eventKind(
    domainEvents,
    'graphics',
    5,
    323,
    struct({
      callbackId,
      domain,
      phase: int,
      local: graphicsAddress,
      remote: graphicsAddress,
      authScheme: text,
      subject: list(struct({ type: text, name: text }), 20),
    }),
  ),
  'io-error': eventKind(
    domainEvents,
    'io-error',
    6,
    324,
    struct({ callbackId, domain, sourcePath: text, deviceAlias: text, action: int, reason: text }),
  ),
  'control-error': eventKind(domainEvents, 'control-error', 7, 325, domainOnly),
  'disk-change': eventKind(
    domainEvents,
    'disk-change',
    9,
    327,
    struct({ callbackId, domain, oldPath: optionalText, newPath: optionalText, deviceAlias: text, reason: int }),
  ),
  'tray-change': eventKind(
    domainEvents,
    'tray-change',
    10,
    328,
    struct({ callbackId, domain, deviceAlias: text, reason: int }),
  ),
  'pm-wakeup': eventKind(domainEvents, 'pm-wakeup', 11, 329, withReasonFirst),
  'pm-suspend': eventKind(domainEvents, 'pm-suspend', 12, 330, withReasonFirst),
  'balloon-change': eventKind(domainEvents, 'balloon-change', 13, 331, struct({ callbackId, domain, actualKib: size })),
  'device-removed': eventKind(domainEvents, 'device-removed', 15, 333, withAlias),
  'block-job': eventKind(
    domainEvents,
    'block-job',
    16,
    339,
    struct({ callbackId, domain, disk: text, type: int, status: int }),
  ),
  tunable: eventKind(
    domainEvents,
    'tunable',
    17,
    346,
    struct({ callbackId, domain, parameters: typedParameters(2048) }),
  ),
  'agent-lifecycle': eventKind(
    domainEvents,
    'agent-lifecycle',
    18,
    348,
    struct({ callbackId, domain, state: int, reason: int }),
  ),
  'device-added': eventKind(domainEvents, 'device-added', 19, 354, withAlias),
  'migration-iteration': eventKind(
    domainEvents,
    'migration-iteration',
    20,
    359,
    struct({ callbackId, domain, iteration: int }),
  ),
  'job-completed': eventKind(
    domainEvents,
    'job-completed',
    21,
    363,
    struct({ callbackId, domain, parameters: typedParameters(64) }),
  ),
  'device-removal-failed': eventKind(domainEvents, 'device-removal-failed', 22, 367, withAlias),
  'metadata-change': eventKind(
    domainEvents,
    'metadata-change',
    23,
    379,
    struct({ callbackId, domain, type: int, namespaceUri: optionalText }),
  ),
  'block-threshold': eventKind(
    domainEvents,
    'block-threshold',
    24,
    385,
    struct({ callbackId, domain, device: text, path: optionalText, thresholdBytes: size, excessBytes: size }),
  ),
  'memory-failure': eventKind(
    domainEvents,
    'memory-failure',
    25,
    423,
    struct({ callbackId, domain, recipient: int, action: int, flags: uint }),
  ),
  'memory-device-size-change': eventKind(
    domainEvents,
    'memory-device-size-change',
    26,
    438,
    struct({ callbackId, domain, deviceAlias: text, sizeBytes: size }),
  ),
} as const;
