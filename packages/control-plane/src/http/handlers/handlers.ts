// Every handler of the REST front: one a route of the contract. A route without one does not compile.
import type { FrontDeps, Handlers } from '../handler.ts';
import { hostHandlers, imageHandlers, instanceHandlers, keyPairHandlers, networkHandlers } from './compute-handlers.ts';
import { identityHandlers } from './identity-handlers.ts';
import { interopHandlers } from './interop-handlers.ts';
import { instrumentHandlers } from './instrument-handlers.ts';
import { policyHandlers } from './policy-handlers.ts';
import { eventHandlers, healthHandlers, operationHandlers } from './record-handlers.ts';

export function createHandlers(deps: FrontDeps): Handlers {
  return {
    ...healthHandlers(deps),
    ...identityHandlers(deps),
    ...hostHandlers(deps),
    ...keyPairHandlers(deps),
    ...imageHandlers(deps),
    ...networkHandlers(deps),
    ...instanceHandlers(deps),
    ...policyHandlers(deps),
    ...instrumentHandlers(deps),
    ...interopHandlers(deps),
    ...operationHandlers(deps),
    ...eventHandlers(deps),
  };
}
