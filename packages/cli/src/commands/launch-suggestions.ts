// When a launch names what there is not: the name that was most likely meant. The server knows only that it is missing.
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { closest } from '../closest.ts';

type Ingredients = Omit<LaunchInstance, 'name'>;

/** What a launch names besides itself, by the first part of the field that an error points at. */
const ingredients: Record<string, { named(body: Ingredients): string[]; list(client: Client): Promise<Named> }> = {
  image: {
    named: ({ image }) => (image === undefined ? [] : [image]),
    list: (client) => client.listImages({ query: { limit: 1000 } }),
  },
  iso: {
    named: ({ iso }) => (iso === undefined ? [] : [iso]),
    list: (client) => client.listImages({ query: { limit: 1000 } }),
  },
  type: { named: ({ type }) => [type], list: (client) => client.listInstanceTypes() },
  network: {
    named: ({ network }) => (network === undefined ? [] : [network]),
    list: (client) => client.listNetworks({ query: { limit: 1000 } }),
  },
  keyPairs: {
    named: ({ keyPairs }) => keyPairs ?? [],
    list: (client) => client.listKeyPairs({ query: { limit: 1000 } }),
  },
};

type Named = { items: { name: string }[] };

/** The refusal of a launch again, with the name that was most likely meant. @throws always */
export async function withNearestName(client: Client, body: Ingredients, error: unknown): Promise<never> {
  if (!(error instanceof VirgaError) || error.code !== 'NotFound') throw error;
  const pointedAt = ingredients[error.field?.split('/')[1] ?? ''];
  for (const { named, list } of pointedAt ? [pointedAt] : Object.values(ingredients)) {
    const names = (await list(client)).items.map(({ name }) => name);
    const unknown = named(body).find((name) => !names.includes(name));
    const near = unknown === undefined ? undefined : closest(unknown, names);
    if (near === undefined) continue;
    const { detail, field } = error;
    throw new VirgaError('NotFound', { detail, field, action: `Did you mean ${near}? ${error.action}`, cause: error });
  }
  throw error;
}
