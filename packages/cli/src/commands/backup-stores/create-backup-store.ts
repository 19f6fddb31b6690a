import { VirgaError } from '@virga/contract/errors';
import type { CreateBackupStore } from '@virga/contract/rest/backup-stores';
import { defineCommand } from '../../command.ts';
import { readGivenFile } from '../../given-file.ts';
import { idempotent } from '../../idempotent.ts';
import { changeOne } from '../../operations/change-one.ts';
import { readRate } from '../../rate.ts';
import { waitOption } from '../shared-options.ts';

export const createBackupStore = defineCommand({
  meta: {
    path: 'backup-stores create',
    summary: 'Make a backup store, or open one that is there',
    details:
      'What backups are in one that is there are listed then, and can be restored, also those of a cloud that is lost. What is in a store is compressed, encrypted and kept once. Its password is made unless it is given; write it down ' +
      '(virga backup-stores key), because without it nobody can read the store when this cloud is lost. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    path: { type: 'text', value: 'PATH', summary: 'a folder on the hosts, absolute' },
    host: {
      type: 'text',
      value: 'HOST',
      summary: 'the only host that has the folder; default every one sees it',
      complete: 'host',
    },
    s3Endpoint: { type: 'text', value: 'URL', summary: 'an S3-compatible service, such as https://s3.example.org' },
    s3Bucket: { type: 'text', value: 'NAME', summary: 'its bucket' },
    s3Prefix: { type: 'text', value: 'PREFIX', summary: 'beginning of the names of all objects' },
    s3Region: { type: 'text', value: 'REGION', summary: 'default us-east-1' },
    s3KeyFile: {
      type: 'text',
      value: 'FILE',
      summary: 'a file with the access key id and the secret, a line each',
      complete: 'file',
    },
    s3CaFile: {
      type: 'text',
      value: 'FILE',
      summary: 'certificates of who signed that of the service',
      complete: 'file',
    },
    passwordFile: {
      type: 'text',
      value: 'FILE',
      summary: 'a file with the password of the encryption; default one that is made',
      complete: 'file',
    },
    limit: { type: 'text', value: 'RATE', summary: 'bytes a second to and from it, such as 50M' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga backup-stores create main --path /mnt/backup --wait', explains: 'a folder that every host sees' },
    {
      command: 'virga backup-stores create main --path /mnt/backup --password-file main.key --wait',
      explains: 'one that is there, with what is in it',
    },
    {
      command:
        'virga backup-stores create off-site --s3-endpoint https://s3.example.org --s3-bucket virga --s3-key-file keys --limit 20M',
      explains: 'a bucket, at 20 MB a second',
    },
  ],
  async run(context, { args: { name }, options }) {
    const { path, host, limit, passwordFile, wait } = options;
    const body: CreateBackupStore = {
      name,
      ...(path !== undefined && { path }),
      ...(host !== undefined && { host }),
      ...(options.s3Endpoint !== undefined && { s3: await readS3(options) }),
      ...(passwordFile !== undefined && { password: (await readLines(passwordFile))[0] ?? '' }),
      ...(limit !== undefined && { limitBytesPerSecond: readRate('--limit', limit) }),
    };
    const client = await context.client();
    return changeOne(context, 'store', {
      ...{ name, wait, requested: 'creation requested' },
      request: () => idempotent((request) => client.createBackupStore({ body }, request)),
      afterwards: ({ id }) => client.getBackupStore({ params: { id } }),
      done: ({ state, backups }) =>
        backups === 0 ? state : `${state}, ${backups} backups were in it: virga backups list`,
    });
  },
});

async function readS3(options: {
  s3Endpoint?: string | undefined;
  s3Bucket?: string | undefined;
  s3Prefix?: string | undefined;
  s3Region?: string | undefined;
  s3KeyFile?: string | undefined;
  s3CaFile?: string | undefined;
}): Promise<NonNullable<CreateBackupStore['s3']>> {
  const { s3Endpoint: endpoint, s3Bucket: bucket, s3Prefix: prefix, s3Region: region, s3KeyFile, s3CaFile } = options;
  if (endpoint === undefined || bucket === undefined || s3KeyFile === undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'A store of S3 needs its endpoint, a bucket and keys.',
      action: 'Give --s3-endpoint, --s3-bucket and --s3-key-file.',
    });
  }
  const [accessKeyId = '', secretAccessKey = ''] = await readLines(s3KeyFile);
  return {
    ...{ endpoint, bucket, accessKeyId, secretAccessKey },
    ...(prefix !== undefined && { prefix }),
    ...(region !== undefined && { region }),
    ...(s3CaFile !== undefined && { ca: (await readLines(s3CaFile)).join('\n') }),
  };
}

async function readLines(path: string): Promise<string[]> {
  return (await readGivenFile(path)).split('\n').map((line) => line.trim());
}
