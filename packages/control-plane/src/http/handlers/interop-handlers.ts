// Domains of somebody else, adopted and given back.
import type { interopRoutes } from '@virga/contract/rest/interop';
import { listForeignDomains } from '../../modules/hosts/foreign-domains.ts';
import { adoptInstance } from '../../modules/instances/adopt-instance.ts';
import { releaseInstance } from '../../modules/instances/release-instance.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function interopHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof interopRoutes> {
  return {
    listForeignDomains: ({ access, params }) => listForeignDomains(deps, access, params.id),
    adoptInstance: ({ access, body, idempotency }) => adoptInstance(deps, access, body, idempotency),
    releaseInstance: ({ access, params, ifMatch }) => releaseInstance(deps, access, params.id, ifMatch),
  };
}
