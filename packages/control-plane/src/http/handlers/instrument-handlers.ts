// What is measured of an instance, and its keyboard.
import type { instrumentRoutes } from '@virga/contract/rest/instance-instruments';
import { injectNmi, instanceStatistics, sendKeys } from '../../modules/instances/instance-instruments.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function instrumentHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof instrumentRoutes> {
  return {
    getStatistics: ({ access, params, signal }) => instanceStatistics(deps, access, params.id, signal),
    sendKeys: ({ access, params, body }) => sendKeys(deps, access, params.id, body.keys),
    injectNmi: ({ access, params }) => injectNmi(deps, access, params.id),
  };
}
