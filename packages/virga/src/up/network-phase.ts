// The network `default`, which instances are attached to that name no other: NAT, on addresses that nothing here uses yet.
import { idempotent } from '@virga/cli/idempotent';
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { Network } from '@virga/contract/rest/networks';
import type { Cloud } from './cloud.ts';
import { chooseFreeNetwork, routedNetworks } from './free-network.ts';
import type { Phase } from './phase.ts';

const networkName = 'default';

export function networkPhase(cloud: Cloud): Phase {
  return {
    title: 'network',
    check: async () => {
      const client = cloud.client();
      if (client && (await findDefault(client))?.state === 'active') return [];
      const cidr = chooseFreeNetwork(await routedNetworks());
      return [cloud.unlessThere(`create the network ${networkName} on ${cidr ?? 'free addresses'}`)];
    },
    change: async (report) => {
      const client = cloud.requireClient();
      const found = await findDefault(client);
      if (found?.state === 'failed') {
        report('taking away a network that failed');
        await cloud.follow((await client.deleteNetwork({ params: { id: found.id } })).operationId, report);
      } else if (found) {
        const [operation] = (await client.listOperations({ query: { resourceId: found.id, limit: 1 } })).items;
        if (operation) return cloud.follow(operation.id, report);
      }
      const cidr = chooseFreeNetwork(await routedNetworks());
      if (cidr === undefined) throw nothingFree();
      report(`creating ${networkName} on ${cidr}`);
      const { operationId } = await idempotent((request) =>
        client.createNetwork({ body: { name: networkName, cidr, visibility: 'public' } }, request),
      );
      await cloud.follow(operationId, report);
    },
  };
}

async function findDefault(client: Client): Promise<Network | undefined> {
  return (await client.listNetworks({ query: { name: networkName } })).items[0];
}

function nothingFree(): VirgaError {
  return new VirgaError('Conflict', {
    detail: 'This machine has routes to every private network that could be used.',
    action: `Choose one yourself: virga networks create ${networkName} --cidr CIDR --public, then run this again.`,
  });
}
