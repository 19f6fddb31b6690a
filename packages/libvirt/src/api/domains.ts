// Everything that can be asked about domains, put together from one file per concern.
import type { Session } from '../connection/session.ts';
import { domainBlocks } from './domain/blocks.ts';
import { domainDefinition } from './domain/definition.ts';
import { domainDevices } from './domain/devices.ts';
import { domainEvents } from './domain/events.ts';
import { domainGuest } from './domain/guest.ts';
import { domainParameters } from './domain/parameters.ts';
import { domainPower } from './domain/power.ts';
import { domainProcessors } from './domain/processors.ts';
import { domainSnapshots } from './domain/snapshots.ts';
import { domainStatistics } from './domain/statistics.ts';
import { domainStreams } from './domain/streams.ts';

export type Domains = ReturnType<typeof domains>;

export function domains(session: Session) {
  return {
    ...domainDefinition(session),
    ...domainPower(session),
    ...domainStatistics(session),
    ...domainEvents(session),
    ...domainProcessors(session),
    ...domainParameters(session),
    ...domainDevices(session),
    ...domainBlocks(session),
    ...domainSnapshots(session),
    ...domainGuest(session),
    ...domainStreams(session),
  };
}
