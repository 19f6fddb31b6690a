// Health, operations and events: what Virga says about itself and about what it did.
import type { eventRoutes } from '@virga/contract/rest/events';
import type { operationRoutes } from '@virga/contract/rest/operations';
import { listCloudEvents, listProjectEvents } from '../../events/event-log.ts';
import { followEvents } from '../../events/follow-events.ts';
import { getOperation, listOperations } from '../../modules/operations/operation-operations.ts';
import { checkStore } from '../../store/database.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function healthHandlers({ db, version, cloudId }: FrontDeps): Pick<Handlers, 'getHealth'> {
  return {
    async getHealth() {
      await checkStore(db);
      return { status: 'ok', version, cloudId };
    },
  };
}

export function operationHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof operationRoutes> {
  return {
    listOperations: ({ access, query }) => listOperations(deps.db, access, query),
    getOperation: ({ access, params, query, signal }) =>
      getOperation(deps, access, params.id, (query.waitSeconds ?? 0) * 1000, signal),
  };
}

export function eventHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof eventRoutes> {
  const { db } = deps;
  return {
    listEvents: ({ access, query }) => listProjectEvents(db, access, query),
    followEvents: ({ access, query: { after, ...filter }, lastEventId, signal }) =>
      followEvents(deps, { projectId: access.projectId, ...filter }, lastEventId ?? after, signal),
    listCloudEvents: ({ access, query }) => listCloudEvents(db, access, query),
  };
}
