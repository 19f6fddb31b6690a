// What a simulated host keeps for a lost database.
import { isDeepStrictEqual } from 'node:util';
import type { HostKeeping } from '@virga/contract/agent/host-keepsake';
import type { Calls } from './call-steps.ts';
import type { SimulatedHost } from './simulated-host.ts';

export function simulatedKeepsakes({ store }: SimulatedHost, calls: Calls): HostKeeping {
  return {
    keepHost: (cloudId, keepsake, context) =>
      calls.run('keepHost', cloudId, context, () => {
        if (isDeepStrictEqual(store.keepsakes.get(cloudId)?.keepsake, keepsake)) return;
        store.keepsakes.set(cloudId, { cloudId, keptAt: new Date(calls.now()).toISOString(), keepsake });
      }),
  };
}
