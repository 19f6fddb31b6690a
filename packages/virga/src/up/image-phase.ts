// The starter image: built from its recipe unless a file is given, and registered for every project. The built file is
// kept until the host has its own copy, so that an interrupted run need not build again.
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { idempotent } from '@virga/cli/idempotent';
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { Image } from '@virga/contract/rest/images';
import { checkoutPath } from '../machine/checkout.ts';
import { runCommand } from '../machine/run-command.ts';
import type { Folders } from '../server/folders.ts';
import type { Cloud } from './cloud.ts';
import type { Phase, Report } from './phase.ts';

export const imageName = 'starter';

type Recipe = { defaultUser: string; minimumMemoryMib: number };

/** @param given a file to register instead of building one */
export function imagePhase(folders: Folders, cloud: Cloud, given: string | undefined): Phase {
  const file = given === undefined ? undefined : resolve(given);
  return {
    title: 'starter image',
    check: async () => {
      const client = cloud.client();
      if (client && (await findStarter(client))?.state === 'available') return [];
      return [cloud.unlessThere(file ? `register ${file} as the image ${imageName}` : `build the image ${imageName}`)];
    },
    change: async (report) => {
      if (file !== undefined && !existsSync(file)) throw noFile(file);
      const client = cloud.requireClient();
      const found = await findStarter(client);
      if (found?.state === 'available') return;
      if (found) await settle(client, cloud, found, report);
      if ((await findStarter(client))?.state === 'available') return;
      const path = file ?? (await build(folders, report));
      const { defaultUser, minimumMemoryMib } = readRecipe();
      report('registering');
      const { operationId } = await idempotent((request) =>
        client.registerImage(
          { body: { name: imageName, path, format: 'qcow2', visibility: 'public', defaultUser, minimumMemoryMib } },
          request,
        ),
      );
      await cloud.follow(operationId, report);
      if (file === undefined) await rm(path);
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

async function build(folders: Folders, report: Report): Promise<string> {
  const recipe = checkoutPath('images', imageName, 'build');
  const key = (await runCommand([recipe, '--print-key'])).trim();
  const path = join(folders.state, `${imageName}-${key}.qcow2`);
  if (existsSync(path)) return path;
  report('building');
  await runCommand([recipe, path], { onLine: report });
  return path;
}

function readRecipe(): Recipe {
  return JSON.parse(readFileSync(checkoutPath('images', imageName, 'image.json'), 'utf8')) as Recipe;
}

function noFile(path: string): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail: `There is no file ${path}.`,
    action: 'Name an image file with --starter-image, or leave it out to have one built.',
  });
}
