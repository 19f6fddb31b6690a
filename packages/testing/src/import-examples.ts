// Images from elsewhere, for tests of commands: what a server answers, and what each command prints of it.
import type { CatalogImage, ImageUpload } from '@virga/contract/rest/image-import';
import { anImage } from './contract-examples.ts';

const operationId = 'op-00000000000000001' as const;
const changed = { image: anImage(), operationId } as const;

const aCatalogImage = (): CatalogImage => ({
  name: 'debian-12',
  title: 'Debian 12 (bookworm)',
  version: '12',
  architecture: 'amd64',
  url: 'https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2',
  format: 'qcow2',
  checksums: { url: 'https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS', algorithm: 'sha512' },
  defaultUser: 'debian',
  minimumMemoryMib: 512,
  origin: 'built-in',
  hasKey: false,
});

const anUpload = (fields: Partial<ImageUpload> = {}): ImageUpload => ({
  imageId: anImage().id,
  receivedBytes: 0,
  sizeBytes: 4096,
  operationId: null,
  ...fields,
});

export const importAnswers = {
  listCatalog: () => ({ items: [aCatalogImage()] }),
  importImage: () => changed,
  uploadImage: () => anImage({ state: 'pending' }),
  getImageUpload: () => anUpload(),
  sendImage: () => anUpload({ receivedBytes: 4096, operationId }),
  cancelImageImport: () => anImage({ state: 'pending' }),
  updateImage: () => changed,
};

export const importCommands = {
  'images catalog': { argv: ['images', 'catalog'], json: [aCatalogImage()] },
  'images pull': { argv: ['images', 'pull', 'debian-12'], json: changed },
  'images import': { argv: ['images', 'import', 'https://images.example/x.qcow2', '--name', 'starter'], json: changed },
  'images cancel-import': { argv: ['images', 'cancel-import', 'starter'], json: anImage({ state: 'pending' }) },
  'images share': { argv: ['images', 'share', 'starter'], json: changed },
};
