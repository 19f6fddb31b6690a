import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { VirgaError } from '@virga/contract/errors';
import { isId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { idempotent } from '../idempotent.ts';
import { findImage } from '../lookup.ts';
import { makeChanges } from '../operations/make-changes.ts';
import { reportChanges } from '../operations/report-changes.ts';
import { readSize } from '../size.ts';
import { knownKeys } from '../ssh/identities.ts';
import { cpuOptions, readCpu } from './cpu-options.ts';
import { readRootDiskDriver, rootDiskDriverOptions } from './disk-driver-options.ts';
import { hardwareOptions, readHardware } from './hardware-options.ts';
import { attributeOptions, readAttributes } from './instance-attribute-options.ts';
import { describe, settled } from './instance-change.ts';
import { withNearestName } from './launch-suggestions.ts';
import { readDiskLimits } from './limit-options.ts';
import { waitForGuestOption } from './shared-options.ts';

const maxUserDataBytes = 16_384;
const longestName = 63;

export const launch = defineCommand({
  meta: {
    path: 'launch',
    summary: 'Launch an instance',
    details:
      'Without a name, one is made up from the name of the image. Without --key, the instance gets every key pair of the ' +
      'project whose private key virga keys create or import remembered on this machine, so that virga ssh works. With ' +
      '--iso, the disk is empty and the disc in the drive boots: install from it on the screen, virga vnc.',
    section: 'Instances',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens', optional: true } },
  options: {
    image: { type: 'text', value: 'IMAGE', summary: 'image to clone', complete: 'image' },
    iso: { type: 'text', value: 'IMAGE', summary: 'ISO image to install from, on an empty disk', complete: 'image' },
    type: {
      type: 'text',
      value: 'TYPE',
      summary: 'instance type: how much CPU, memory and disk',
      required: true,
      complete: 'type',
    },
    network: {
      type: 'text',
      value: 'NETWORK',
      summary: 'network to attach to; default the one named default',
      complete: 'network',
    },
    key: { type: 'texts', value: 'KEY', summary: 'key pair that may log in; may be repeated', complete: 'key' },
    noKey: { type: 'flag', summary: 'no key pair at all' },
    userData: {
      type: 'text',
      value: 'FILE',
      complete: 'file',
      summary: 'user data for cloud-init, at most 16 KiB; - reads standard input',
    },
    maxVcpus: {
      type: 'integer',
      value: 'N',
      summary: 'up to here vCPUs can be added while it runs; default as many as the type has',
      minimum: 1,
      maximum: 512,
    },
    maxMemory: {
      type: 'text',
      value: 'SIZE',
      summary: 'up to here memory can be added while it runs, such as 4GiB; without a unit in MiB',
    },
    disk: {
      type: 'integer',
      value: 'GIB',
      summary: 'size of the root disk instead of that of the type',
      minimum: 1,
      maximum: 65_536,
    },
    diskIops: { type: 'integer', value: 'N', summary: 'limit of the root disk', minimum: 1, maximum: 1_000_000_000 },
    diskBps: { type: 'text', value: 'RATE', summary: 'limit of the root disk in bytes a second, such as 10M' },
    pool: {
      type: 'text',
      value: 'POOL',
      summary: "pool for its root disk; default that of the type, or the host's own storage",
      complete: 'pool',
    },
    full: { type: 'flag', summary: 'the root disk is a copy of the image, and does not rest on it' },
    ...rootDiskDriverOptions,
    ...cpuOptions,
    ...hardwareOptions,
    tpm: { type: 'flag', summary: 'a TPM 2.0 of its own' },
    cdrom: { type: 'flag', summary: 'an empty CD-ROM drive, for discs to be inserted while it runs' },
    warm: {
      type: 'text',
      value: 'HOW',
      choices: ['auto', 'never', 'always'],
      summary: 'begin as a copy of a running guest: where one is kept, never, or not at all without one',
    },
    ...attributeOptions,
    count: {
      type: 'integer',
      value: 'N',
      summary: 'launch this many, named NAME-1 to NAME-N',
      minimum: 1,
      maximum: 100,
    },
    wait: waitForGuestOption,
  },
  examples: [
    { command: 'virga launch web --image starter --type small --wait', explains: 'waits until it runs' },
    { command: 'virga launch web --image starter --type small --wait=ssh && virga ssh web', explains: 'then logs in' },
    {
      command: 'virga launch --image debian-12 --type medium --user-data init.yaml',
      explains: 'with cloud-init user data',
    },
    { command: 'virga launch desk --iso installer --type medium --disk 40', explains: 'to install a system' },
    { command: 'virga launch node --image starter --type tiny --count 3', explains: 'node-1, node-2 and node-3' },
    {
      command: 'virga launch try --image starter --type tiny --expires 8h --tag env=test',
      explains: 'stops by itself',
    },
  ],
  async run(context, { args, options }) {
    if (options.noKey && options.key.length > 0) {
      throw new VirgaError('InvalidArgument', {
        detail: '--key and --no-key were both given.',
        action: 'Give one of them.',
      });
    }
    const { image, iso, type, network, disk, maxVcpus, maxMemory, count } = options;
    const source = image ?? iso;
    if (source === undefined && !options.boot?.includes('network')) throw nothingToStartFrom();
    const userData = options.userData === undefined ? undefined : await readUserData(context, options.userData);
    const rootDiskLimits = readDiskLimits({ iops: options.diskIops, bps: options.diskBps });
    const rootDiskDriver = readRootDiskDriver(options);
    const client = await context.client();
    // Who installs a system says there who may log in.
    const noKeys = options.noKey || (image === undefined && options.key.length === 0);
    const keyPairs = noKeys ? [] : options.key.length > 0 ? options.key : await rememberedKeys(context);
    const body: Omit<LaunchInstance, 'name'> = {
      ...readAttributes(options, context.nowMs()),
      ...readHardware(options),
      ...readCpu(options),
      ...(image === undefined ? {} : { image }),
      ...(iso === undefined ? {} : { iso }),
      ...(options.tpm ? { tpm: true } : {}),
      ...(options.cdrom ? { cdrom: true } : {}),
      type,
      keyPairs,
      ...(options.warm === undefined ? {} : { warm: options.warm }),
      ...(network === undefined ? {} : { network }),
      ...(userData === undefined ? {} : { userData }),
      ...(disk === undefined ? {} : { diskGib: disk }),
      ...(Object.keys(rootDiskLimits).length > 0 ? { rootDiskLimits } : {}),
      ...(rootDiskDriver === undefined ? {} : { rootDiskDriver }),
      ...(options.pool === undefined ? {} : { pool: options.pool }),
      ...(options.full ? { clone: 'full' as const } : {}),
      ...(maxVcpus === undefined ? {} : { maxVcpus }),
      ...(maxMemory === undefined ? {} : { maxMemoryMib: readSize('--max-memory', maxMemory, 'MiB') }),
    };
    const base = args.name ?? (await inventName(context, source ?? 'network'));
    const names = count === undefined ? [base] : Array.from({ length: count }, (_, index) => `${base}-${index + 1}`);
    const changes = names.map((name) => ({
      name,
      request: async () => {
        const send = (request: { idempotencyKey: string }) =>
          client.launchInstance({ body: { ...body, name } }, request);
        const answer = await idempotent(send).catch((error) => withNearestName(client, body, error));
        return { operationId: answer.operationId, resource: answer.instance };
      },
      afterwards: settled(context, client, options.wait === 'ssh'),
      done: describe,
    }));
    const waited = options.wait !== undefined;
    const outcomes = await makeChanges<Instance>(context, changes, waited);
    const words = { noun: 'instance', requested: 'launch requested', done: describe };
    const exit = await reportChanges(context, outcomes, words, { waited, many: count !== undefined });
    const first = outcomes.find(({ error }) => !error);
    if (first && context.print.format === 'table') {
      context.print.note(
        image === undefined
          ? `  screen: virga vnc ${first.name}`
          : keyPairs.length > 0
            ? `  log in: virga ssh ${first.name}`
            : `  console: virga console ${first.name}`,
      );
    }
    return exit;
  },
});

const nothingToStartFrom = () =>
  new VirgaError('InvalidArgument', {
    detail: 'Nothing says what it starts from.',
    action: 'Add --image to clone a disk, or --iso to install a system: virga images list.',
  });

/** @returns base64 @throws UserDataTooLarge | InvalidArgument the file cannot be read; nothing was asked of the cloud */
async function readUserData({ io }: CommandContext, path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = path === '-' ? Buffer.concat(await Array.fromAsync(io.stdin, Buffer.from)) : await readFile(path);
  } catch (cause) {
    throw new VirgaError('InvalidArgument', {
      detail: `The user data file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`,
      action: 'Give the path of a file that you may read.',
      cause,
    });
  }
  if (bytes.length <= maxUserDataBytes) return bytes.toString('base64');
  throw new VirgaError('UserDataTooLarge', {
    detail: `The user data has ${bytes.length} bytes; at most ${maxUserDataBytes} are allowed.`,
    action: 'Shorten it, or let it fetch the rest from a server of yours.',
  });
}

async function rememberedKeys(context: CommandContext): Promise<string[]> {
  return (await knownKeys(await context.client(), context.io.env)).map(({ keyPair }) => keyPair.name).slice(0, 16);
}

/** Such as `starter-4f2a`. */
async function inventName(context: CommandContext, image: string): Promise<string> {
  const imageName = isId('image', image) ? (await findImage(await context.client(), image)).name : image;
  return `${imageName.slice(0, longestName - 5)}-${randomBytes(2).toString('hex')}`;
}
