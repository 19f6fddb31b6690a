// The first instance: launched once, waited for until somebody can log in, and from then on its owner's business.
import { idempotent } from '@virga/cli/idempotent';
import { knownKeys } from '@virga/cli/ssh/identities';
import { sshPort, waitForSsh } from '@virga/cli/ssh/wait-for-ssh';
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceType } from '@virga/contract/rest/hosts';
import type { Image } from '@virga/contract/rest/images';
import type { Instance } from '@virga/contract/rest/instances';
import type { Folders } from '../server/folders.ts';
import type { Cloud } from './cloud.ts';
import type { Phase, Report } from './phase.ts';
import { imageName } from './starter-file.ts';
import { readUpRecord, writeUpRecord } from './up-record.ts';

export const firstInstanceName = 'first';

/** Enough for a guest that is emulated on a busy machine. */
const sshTimeoutMs = 300_000;

type Deps = { folders: Folders; cloud: Cloud; env: NodeJS.ProcessEnv; signal: AbortSignal };

export function firstInstancePhase({ folders, cloud, env, signal }: Deps): Phase {
  return {
    title: 'first instance',
    check: async () =>
      readUpRecord(folders).firstInstanceId === undefined ? [`launch the instance ${firstInstanceName}`] : [],
    change: async (report) => {
      const client = cloud.requireClient();
      const instance = (await findFirst(client)) ?? (await launch(client, cloud, env, report));
      await whenReachable(client, instance, env, signal, report);
      await writeUpRecord(folders, { ...readUpRecord(folders), firstInstanceId: instance.id });
    },
  };
}

export async function findFirst(client: Client): Promise<Instance | undefined> {
  return (await client.listInstances({ query: { name: firstInstanceName } })).items[0];
}

async function launch(client: Client, cloud: Cloud, env: NodeJS.ProcessEnv, report: Report): Promise<Instance> {
  const [image] = (await client.listImages({ query: { name: imageName } })).items;
  const type = smallestFor(image, (await client.listInstanceTypes()).items);
  const keyPairs = (await knownKeys(client, env)).map(({ keyPair }) => keyPair.name).slice(0, 16);
  await cloud.whenHostIsReady(report);
  report('launching');
  const { instance, operationId } = await idempotent((request) =>
    client.launchInstance({ body: { name: firstInstanceName, image: imageName, type: type.name, keyPairs } }, request),
  );
  await cloud.follow(operationId, report);
  return instance;
}

async function whenReachable(
  client: Client,
  { id }: Instance,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  report: Report,
): Promise<void> {
  const instance = await client.getInstance({ params: { id } });
  const address = instance.networkInterfaces[0]?.address;
  if (instance.desiredState !== 'running' || address === undefined) return;
  report(`waiting for SSH at ${address}`);
  await waitForSsh({ instanceName: instance.name, address, port: sshPort(env) }, sshTimeoutMs, signal);
}

/** The smallest type with the memory that the image needs. */
export function smallestFor(image: Image | undefined, types: readonly InstanceType[]): InstanceType {
  const [smallest] = types
    .filter(({ memoryMib }) => memoryMib >= (image?.minimumMemoryMib ?? 0))
    .sort((a, b) => a.memoryMib - b.memoryMib || a.vcpus - b.vcpus);
  if (smallest) return smallest;
  throw new VirgaError('Conflict', {
    detail: `There is no instance type with the ${image?.minimumMemoryMib} MiB of memory that the image ${image?.name} needs.`,
    action: 'Make one with virga types create, then run this again.',
  });
}
