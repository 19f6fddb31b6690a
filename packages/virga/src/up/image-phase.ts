// The starter image, registered for every project.
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { idempotent } from '@virga/cli/idempotent';
import type { Client } from '@virga/contract/client';
import type { Image } from '@virga/contract/rest/images';
import { checkoutPath } from '../machine/checkout.ts';
import type { Folders } from '../server/folders.ts';
import type { Cloud } from './cloud.ts';
import type { Phase, Report } from './phase.ts';
import { imageName, starterFile } from './starter-file.ts';

type Recipe = { defaultUser: string; minimumMemoryMib: number; warmable?: boolean };

/** @param given a file to register instead of building one */
export function imagePhase(folders: Folders, cloud: Cloud, given: string | undefined): Phase {
  return {
    title: 'starter image',
    check: async () => {
      const client = cloud.client();
      if (client && (await findStarter(client))?.state === 'available') return [];
      return [
        cloud.unlessThere(given ? `register ${given} as the image ${imageName}` : `build the image ${imageName}`),
      ];
    },
    change: async (report) => {
      const client = cloud.requireClient();
      await cloud.whenHostIsReady(report);
      const found = await findStarter(client);
      if (found?.state === 'available') return;
      if (found) await settle(client, cloud, found, report);
      if ((await findStarter(client))?.state === 'available') return;
      const path = await starterFile(folders, given, report);
      const { defaultUser, minimumMemoryMib, warmable = false } = readRecipe();
      report('registering');
      const { operationId } = await idempotent((request) =>
        client.registerImage(
          {
            body: {
              name: imageName,
              path,
              format: 'qcow2',
              visibility: 'public',
              defaultUser,
              minimumMemoryMib,
              warmable,
            },
          },
          request,
        ),
      );
      await cloud.follow(operationId, report);
      if (given === undefined) await rm(path);
    },
  };
}

async function findStarter(client: Client): Promise<Image | undefined> {
  return (await client.listImages({ query: { name: imageName } })).items[0];
}

/** What an interrupted run began is waited for; one that has failed is taken away. */
async function settle(client: Client, cloud: Cloud, image: Image, report: Report): Promise<void> {
  if (image.state === 'failed') {
    report('taking away an import that failed');
    const { operationId } = await client.deleteImage({ params: { id: image.id } });
    return cloud.follow(operationId, report);
  }
  report('waiting for an import that is under way');
  const [operation] = (await client.listOperations({ query: { resourceId: image.id, limit: 1 } })).items;
  if (operation) await cloud.follow(operation.id, report);
}

function readRecipe(): Recipe {
  return JSON.parse(readFileSync(checkoutPath('images', imageName, 'image.json'), 'utf8')) as Recipe;
}
