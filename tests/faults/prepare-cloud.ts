// What a fresh cloud needs before something can be launched in it: an image, a network and a small instance type.
import type { OperationId } from '@virga/contract/ids';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { until } from '@virga/testing/until';
import type { CloudUnderFault } from './cloud-under-fault.ts';

/** @returns what to launch */
export async function prepareCloud(cloud: CloudUnderFault, imagePath: string): Promise<Omit<LaunchInstance, 'name'>> {
  const { client } = cloud;
  await client.createInstanceType({ body: { name: 'nano', vcpus: 1, memoryMib: 64, diskGib: 1 } });
  const image = await client.registerImage({ body: { name: 'guest', path: imagePath, format: 'raw' } });
  await succeeded(cloud, image.operationId);
  const network = await client.createNetwork({ body: { name: 'default', cidr: '10.201.0.0/24' } });
  await succeeded(cloud, network.operationId);
  return { image: 'guest', type: 'nano', network: 'default' };
}

/** The first one waits for all that a host looks at before it reports for the first time, which a busy machine draws out. */
export async function succeeded(
  { client }: CloudUnderFault,
  id: OperationId,
  patience = { timeoutMs: 120_000 },
): Promise<void> {
  await until(
    `operation ${id} has ended`,
    async () => {
      const { state, error } = await client.getOperation({ params: { id }, query: { waitSeconds: 5 } });
      if (state === 'failed') throw new Error(`${error?.detail} ${error?.action}`);
      return state === 'succeeded';
    },
    patience,
  );
}
