// Everything that can be asked about domains, put together from one file per concern.
import type { Session } from '../connection/session.ts';
import { domainDefinition } from './domain/definition.ts';
import { domainEvents } from './domain/events.ts';
import { domainPower } from './domain/power.ts';
import { domainStatistics } from './domain/statistics.ts';

export type Domains = ReturnType<typeof domains>;

export function domains(session: Session) {
  return {
    ...domainDefinition(session),
    ...domainPower(session),
    ...domainStatistics(session),
    ...domainEvents(session),
  };
}
