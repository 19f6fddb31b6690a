import type { CatalogImage } from '@virga/contract/rest/image-import';
import { defineCommand } from '../../command.ts';
import type { Column } from '../../output/table.ts';

const columns: Column<CatalogImage>[] = [
  { header: 'NAME', value: (item) => item.name, essential: true },
  { header: 'ARCH', value: (item) => item.architecture, whole: true, essential: true },
  { header: 'TITLE', value: (item) => item.title },
  { header: 'LOGIN', value: (item) => item.defaultUser },
  { header: 'CHECKED BY', value: (item) => checkedBy(item), whole: true },
  {
    header: 'FROM',
    value: (item) => (item.origin === 'built-in' ? new URL(item.url).host : `own: ${new URL(item.url).host}`),
  },
];

export const listCatalog = defineCommand({
  meta: {
    path: 'images catalog',
    summary: 'List the official images that can be imported by name',
    details:
      'Besides those that come with Virga, the file image-catalog.yaml in the state folder of the server, if there is one. ' +
      'Signatures are checked with keys in image-keys there, named FINGERPRINT.asc or FINGERPRINT.gpg.',
    section: 'Resources',
  },
  args: {},
  options: {},
  examples: [{ command: 'virga images catalog', explains: 'then: virga images pull NAME' }],
  async run(context) {
    const client = await context.client();
    const { items } = await client.listCatalog();
    await context.print.list(items, columns, (item) => `${item.name}/${item.architecture}`, 'The catalog is empty.');
    return 0;
  },
});

function checkedBy({ checksums, hasKey }: CatalogImage): string {
  if (checksums === null) return 'nothing';
  if (!checksums.signature) return `${checksums.algorithm}, not signed`;
  return `${checksums.algorithm}, ${hasKey ? 'signature' : 'no key here'}`;
}
