// What an instance is called, what becomes of it when nobody looks, and its schedules.
import type { instanceScheduleRoutes } from '@virga/contract/rest/instance-schedules';
import type { instanceUpdateRoutes } from '@virga/contract/rest/instance-update';
import { createSchedule, deleteSchedule, listSchedules } from '../../modules/instances/schedule-operations.ts';
import { updateInstance } from '../../modules/instances/update-instance.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function policyHandlers(
  deps: FrontDeps,
): Pick<Handlers, keyof typeof instanceUpdateRoutes | keyof typeof instanceScheduleRoutes> {
  return {
    updateInstance: ({ access, params, body, ifMatch }) => updateInstance(deps, access, params.id, body, ifMatch),
    listSchedules: ({ access, params, query }) => listSchedules(deps.db, access, params.id, query),
    createSchedule: ({ access, params, body }) => createSchedule(deps, access, params.id, body),
    async deleteSchedule({ access, params }) {
      await deleteSchedule(deps, access, params.id, params.scheduleId);
      return {};
    },
  };
}
