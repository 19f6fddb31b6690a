import { resolve } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { visibilityOption, waitOption } from '../shared-options.ts';
import { guestOptions, kindOption, readGuestOptions } from './image-options.ts';
import { orderImage } from './order-image.ts';

export const registerImage = defineCommand({
  meta: {
    path: 'images register',
    summary: 'Register an image from a file on the host',
    details:
      'The file is checked and copied; afterwards it may go. The format is stated, never guessed: a guest could otherwise ' +
      'dress up its raw disk as a qcow2 that names files of the host. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { path: { summary: 'file on the host; a relative path starts here', complete: 'file' } },
  options: {
    name: { type: 'text', value: 'NAME', summary: 'what to call it', required: true },
    kind: kindOption,
    format: {
      type: 'text',
      value: 'FORMAT',
      choices: ['qcow2', 'raw'],
      summary: 'format of the file; an ISO image is raw',
    },
    visibility: visibilityOption,
    ...guestOptions,
    warmable: { type: 'flag', summary: 'its guests can be copied while they run: see virga images warm' },
    wait: waitOption,
  },
  examples: [
    {
      command: 'virga images register ./installer.iso --name installer --kind iso --wait',
      explains: 'to install from it: virga launch --iso installer',
    },
    {
      command: 'virga images register ./debian-12.qcow2 --name debian-12 --format qcow2 --login-user debian --wait',
      explains: 'waits until it can be launched',
    },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { name, kind, visibility } = options;
    const format = options.format ?? (kind === 'iso' ? 'raw' : undefined);
    if (format === undefined) throw formatMissing();
    const body = {
      name,
      kind,
      format,
      path: resolve(args.path),
      ...(visibility === undefined ? {} : { visibility }),
      ...(options.warmable ? { warmable: true } : {}),
      ...readGuestOptions(options),
    };
    const ask = () => idempotent((request) => client.registerImage({ body }, request));
    return orderImage(context, name, options.wait, ask, 'import requested');
  },
});

const formatMissing = () =>
  new VirgaError('InvalidArgument', {
    detail: 'The format of the disk is not stated.',
    action: 'Add --format qcow2 or --format raw; see qemu-img info FILE.',
  });
