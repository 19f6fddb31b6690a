import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { waitOption } from '../shared-options.ts';
import { guestOptions, kindOption, readGuestOptions, visibilityForAdmins } from './image-options.ts';
import { orderImage } from './order-image.ts';

export const importImage = defineCommand({
  meta: {
    path: 'images import',
    summary: 'Import an image from a file of this machine, or from an address on the web',
    details:
      'Takes raw, qcow2, VMDK, VHDX, VDI and OVA, also compressed with gzip, xz or zstd, and ISO images. A file is sent to the ' +
      'server from where this command runs; what breaks off goes on where it was. What comes is held for hostile: it is read ' +
      'by strict readers first, then by qemu-img locked away, and kept as a plain qcow2. Downloads reach no private networks ' +
      'but those that an administrator allows. Without --format the file has to be clear about what it is.',
    section: 'Resources',
  },
  args: { from: { summary: 'a file, or an address that begins with https:// or http://', complete: 'file' } },
  options: {
    name: { type: 'text', value: 'NAME', summary: 'what to call it', required: true },
    kind: kindOption,
    format: {
      type: 'text',
      value: 'FORMAT',
      choices: ['detect', 'raw', 'qcow2', 'vmdk', 'vhdx', 'vdi', 'ova'],
      default: 'detect',
      summary: 'what the file is, inside of what compresses it',
    },
    sha256: { type: 'text', value: 'HEX', summary: 'checksum that it has to have' },
    sha512: { type: 'text', value: 'HEX', summary: 'another one, of an address' },
    checksums: { type: 'text', value: 'URL', summary: 'a list such as SHA256SUMS or SHA512SUMS that it has to be in' },
    visibility: visibilityForAdmins,
    ...guestOptions,
    wait: waitOption,
  },
  examples: [
    {
      command: 'virga images import ./appliance.ova --name appliance --wait',
      explains: 'sends it, and converts its disk',
    },
    {
      command: 'virga images import https://example.org/disk.qcow2.xz --name disk --sha256 9f86… --wait',
      explains: 'a host downloads it',
    },
    { command: 'virga images import ./installer.iso --name installer --kind iso', explains: 'for virga launch --iso' },
  ],
  async run(context, { args, options }) {
    const { name, kind, format, visibility } = options;
    const checksum = checksumOf(options);
    const described = {
      ...{ name, kind, format },
      ...(visibility && { visibility }),
      ...readGuestOptions(options),
    };
    const client = await context.client();
    const isAddress = /^https?:\/\//i.test(args.from);
    if (!isAddress && options.checksums !== undefined) throw notOfAFile();
    const ask = async () => {
      if (!isAddress) {
        const { sendFile } = await import('../../send-file.ts');
        return sendFile(context, args.from, { ...described, ...(checksum && { checksum }) });
      }
      const list = options.checksums;
      const source = {
        url: args.from,
        ...(checksum && { checksum }),
        ...(list !== undefined && { checksumList: { url: list, algorithm: algorithmOf(list) } }),
      };
      return idempotent((sent) => client.importImage({ body: { ...described, source } }, sent));
    };
    return orderImage(context, name, options.wait, ask, 'import requested');
  },
});

function checksumOf({ sha256, sha512 }: { sha256: string | undefined; sha512: string | undefined }) {
  if (sha256 !== undefined) return { algorithm: 'sha256' as const, value: sha256.toLowerCase() };
  return sha512 === undefined ? undefined : { algorithm: 'sha512' as const, value: sha512.toLowerCase() };
}

/** By the name that such lists have. */
const algorithmOf = (url: string): 'sha256' | 'sha512' =>
  /512/.test(url.split('/').at(-1) ?? '') ? 'sha512' : 'sha256';

const notOfAFile = () =>
  new VirgaError('InvalidArgument', {
    detail: 'A list of checksums is for what is downloaded.',
    action: 'Give the checksum of the file with --sha256.',
  });
