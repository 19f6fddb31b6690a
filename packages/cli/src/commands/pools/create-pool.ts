import { VirgaError } from '@virga/contract/errors';
import type { CreatePool } from '@virga/contract/rest/pools';
import { defineCommand } from '../../command.ts';
import { readGivenFile } from '../../given-file.ts';
import { idempotent } from '../../idempotent.ts';
import { changeOne } from '../../operations/change-one.ts';
import { waitOption } from '../shared-options.ts';
import { poolOptions, readPoolOptions } from './pool-options.ts';

export const createPool = defineCommand({
  meta: {
    path: 'pools create',
    summary: 'Create a storage pool from a folder or a pool of Ceph that is there',
    details:
      'A directory is a folder of one host, a shared-directory one that several hosts have mounted in the same place. Its ' +
      'hosts open it afterwards: --wait, or virga pools show, tells whether they could. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    driver: {
      type: 'text',
      value: 'DRIVER',
      choices: ['directory', 'shared-directory', 'rbd'],
      default: 'directory',
      summary: 'what it is made of',
    },
    path: { type: 'text', value: 'PATH', summary: 'the folder on the hosts, absolute' },
    host: {
      type: 'texts',
      value: 'HOST',
      summary: 'a host that has it; default every one; may be repeated',
      complete: 'host',
    },
    cephMonitor: { type: 'texts', value: 'ADDRESS', summary: 'a monitor of the cluster; may be repeated' },
    cephPool: { type: 'text', value: 'NAME', summary: 'the pool of Ceph' },
    cephUser: { type: 'text', value: 'NAME', summary: 'the user of Ceph, without client.' },
    cephKeyFile: { type: 'text', value: 'FILE', summary: 'a file with the key of that user', complete: 'file' },
    ...poolOptions,
    wait: waitOption,
  },
  examples: [
    { command: 'virga pools create fast --path /mnt/nvme --wait', explains: 'a folder of the only host' },
    {
      command: 'virga pools create shared --driver shared-directory --path /mnt/nfs --overcommit 3',
      explains: 'one that every host has mounted, of which three times its size may be promised',
    },
    {
      command:
        'virga pools create ceph --driver rbd --ceph-monitor 10.0.0.1 --ceph-pool rbd --ceph-user virga --ceph-key-file key',
      explains: 'a pool of a Ceph cluster',
    },
  ],
  async run(context, { args: { name }, options }) {
    const { driver, path, host } = options;
    const isCeph = driver === 'rbd';
    if (!isCeph && cephOptions.some((option) => options[option]?.length)) {
      throw new VirgaError('InvalidArgument', {
        detail: `A ${driver} is given by its path alone.`,
        action: 'Leave out what is of Ceph, or add --driver rbd.',
      });
    }
    const body: CreatePool = {
      name,
      driver,
      ...(path !== undefined && { path }),
      ...(isCeph && { ceph: await readCeph(options) }),
      ...(host.length > 0 && { hosts: host }),
      ...readPoolOptions(options),
    };
    const client = await context.client();
    return changeOne(context, 'pool', {
      ...{ name, wait: options.wait, requested: 'creation requested' },
      request: () => idempotent((request) => client.createPool({ body }, request)),
      afterwards: ({ id }) => client.getPool({ params: { id } }),
      done: ({ state }) => state,
    });
  },
});

const cephOptions = ['cephMonitor', 'cephPool', 'cephUser', 'cephKeyFile'] as const;

async function readCeph(options: {
  cephMonitor: string[];
  cephPool?: string | undefined;
  cephUser?: string | undefined;
  cephKeyFile?: string | undefined;
}): Promise<NonNullable<CreatePool['ceph']>> {
  const { cephMonitor: monitors, cephPool: pool, cephUser: user, cephKeyFile } = options;
  if (monitors.length === 0 || pool === undefined || user === undefined || cephKeyFile === undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'An RBD pool needs monitors, pool, user and key of its Ceph cluster.',
      action: 'Give --ceph-monitor, --ceph-pool, --ceph-user and --ceph-key-file.',
    });
  }
  const action = 'Give the path of a keyring, or of a file with the key alone.';
  const text = await readGivenFile(cephKeyFile, { action });
  // A keyring has it in a line of its own.
  const key = /^\s*key\s*=\s*(\S+)/m.exec(text)?.[1] ?? text.trim();
  return { monitors, pool, user, key };
}
