// Every verb of an instance, as the fault tests ask for it: from which state, by which request, and what must then be so.
import type { Client } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import { virsh } from '../libvirt-cloud.ts';
import { foreignDomain } from './foreign-domain.ts';

type Changed = { operationId: OperationId; instance?: Instance };
type Ask = (client: Client, instance: Instance) => Promise<Changed>;

export type VerbUnderFault = {
  name: string;
  /** How the instance is launched that the verb is asked of. */
  launch?: Partial<LaunchInstance>;
  /** Bring a running instance to where the verb makes sense; what answers nothing had nothing to do. */
  before?: readonly ((client: Client, instance: Instance) => Promise<Changed | undefined>)[];
  /** What it makes is what it is about, and nothing has to be there before. */
  creates?: true;
  ask: Ask;
  /** What may be true instead when QEMU was killed, and the guest's memory went with it. */
  withoutMemory?: (instance: Instance | undefined) => boolean;
  /** What is true once it has succeeded, by the API and by libvirt. */
  holds(instance: Instance | undefined): boolean | Promise<boolean>;
};

const state =
  (expected: Instance['state']) =>
  (instance: Instance | undefined): boolean =>
    instance?.state === expected;

const params = ({ id }: Instance) => ({ params: { id } });
const stop: Ask = (client, it) => client.stopInstance({ ...params(it), body: { timeoutSeconds: 30 } });
const start: Ask = (client, it) => client.startInstance(params(it));

const bytesPerGib = 1024 ** 3;
const grownGib = ({ diskBytes }: Instance) => diskBytes / bytesPerGib + 1;
const otherVcpus = ({ vcpus }: Instance) => 3 - vcpus;
const otherIops = ({ rootDiskLimits }: Instance) => (rootDiskLimits?.iops === 500 ? 600 : 500);
/** Fresh names: what is asked for again must not be there already by accident. */
let names = 0;

/** A volume on the host of the instance, which it has not. */
async function freeVolume(client: Client, instance: Instance): Promise<Changed | undefined> {
  const volumes = (await client.listVolumes({ query: {} })).items;
  if (volumes.some(({ attachment, state: is }) => attachment === null && is === 'available')) return undefined;
  return client.createVolume({ body: { name: `data-${++names}`, sizeGib: 1, instance: instance.id } });
}

const attach: Ask = async (client, it) => {
  const volume = (await client.listVolumes({ query: {} })).items.find(({ attachment }) => attachment === null);
  // It came true, though the operation failed: there is none left.
  if (volume === undefined) return start(client, it);
  return client.attachVolume({ ...params(it), body: { volume: volume.id } });
};

/** A guest without an operating system lets no device go while it runs. */
const offAndBare = async (client: Client, it: Instance): Promise<Changed | undefined> =>
  it.volumes.length > 0 || it.networkInterfaces.length > 1 ? stop(client, it) : undefined;
const startIfOff = async (client: Client, it: Instance): Promise<Changed | undefined> =>
  it.state === 'stopped' ? start(client, it) : undefined;
const detachAll = async (client: Client, it: Instance): Promise<Changed | undefined> =>
  it.volumes[0] && client.detachVolume({ params: { id: it.id, volumeId: it.volumes[0].id } });
const removeSecond = async (client: Client, it: Instance): Promise<Changed | undefined> =>
  it.networkInterfaces[1] &&
  client.removeNetworkInterface({ params: { id: it.id, nicId: it.networkInterfaces[1].id } });

const addNic: Ask = (client, it) => client.addNetworkInterface({ ...params(it), body: { network: 'default' } });

const hasDomainDisks = async (it: Instance, count: number): Promise<boolean> =>
  (await virsh('domblklist', it.domainName)).split('\n').filter((line) => line.includes('/volumes/')).length === count;

export const verbs: readonly VerbUnderFault[] = [
  { name: 'stop', ask: stop, holds: state('stopped') },
  { name: 'destroy', ask: (client, it) => client.destroyInstance(params(it)), holds: state('stopped') },
  { name: 'start', before: [stop], ask: start, holds: state('running') },
  { name: 'reboot', ask: (client, it) => client.rebootInstance({ ...params(it), body: {} }), holds: state('running') },
  {
    name: 'power cycle',
    ask: (client, it) => client.rebootInstance({ ...params(it), body: { mode: 'cycle' } }),
    holds: state('running'),
  },
  { name: 'reset', ask: (client, it) => client.resetInstance(params(it)), holds: state('running') },
  { name: 'suspend', ask: (client, it) => client.suspendInstance(params(it)), holds: state('paused') },
  {
    name: 'resume',
    before: [(client, it) => client.suspendInstance(params(it))],
    ask: (client, it) => client.resumeInstance(params(it)),
    holds: state('running'),
  },
  {
    name: 'hibernate',
    ask: (client, it) => client.hibernateInstance(params(it)),
    holds: state('hibernated'),
    withoutMemory: state('stopped'),
  },
  {
    name: 'wake',
    before: [(client, it) => client.hibernateInstance(params(it))],
    ask: start,
    holds: state('running'),
  },
  {
    name: 'rename',
    ask: (client, it) => client.updateInstance({ ...params(it), body: { name: `vm-renamed-${++names}` } }),
    holds: (it) => it?.name.startsWith('vm-renamed-') === true && it.state === 'running',
  },
  {
    name: 'rename of a stopped one',
    before: [stop],
    ask: (client, it) => client.updateInstance({ ...params(it), body: { name: `vm-still-${++names}` } }),
    holds: async (it) =>
      it?.name.startsWith('vm-still-') === true &&
      (await virsh('list', '--all', '--name')).split('\n').includes(it.domainName),
  },
  {
    name: 'grow of the disk',
    ask: (client, it) => client.resizeInstance({ ...params(it), body: { diskGib: grownGib(it) } }),
    holds: async (it) =>
      it !== undefined && (await virsh('domblkinfo', it.domainName, 'vda')).includes(String(it.diskBytes)),
  },
  {
    name: 'resize with a restart',
    ask: (client, it) => client.resizeInstance({ ...params(it), body: { vcpus: otherVcpus(it), restart: true } }),
    holds: async (it) =>
      it?.state === 'running' && (await virsh('vcpucount', it.domainName, '--live')).trim().endsWith(String(it.vcpus)),
  },
  {
    name: 'attach of a volume',
    before: [offAndBare, detachAll, startIfOff, freeVolume],
    ask: attach,
    holds: async (it) =>
      it?.volumes.every(({ state: is }) => is === 'attached') === true && hasDomainDisks(it, it.volumes.length),
  },
  {
    name: 'detach of a volume from a stopped one',
    before: [
      async (client, it) => (it.volumes.length === 0 ? freeVolume(client, it) : undefined),
      async (client, it) => (it.volumes.length === 0 ? attach(client, it) : undefined),
      stop,
    ],
    ask: async (client, it) => {
      const [volume] = (await client.getInstance(params(it))).volumes;
      if (volume === undefined) return start(client, it); // it came true, though the operation failed
      return client.detachVolume({ params: { id: it.id, volumeId: volume.id } });
    },
    holds: async (it) => it?.volumes.length === 0 && hasDomainDisks(it, 0),
  },
  {
    name: 'another network card',
    before: [offAndBare, removeSecond, startIfOff],
    ask: addNic,
    holds: async (it) =>
      it !== undefined &&
      (await virsh('domiflist', it.domainName)).match(/52:54:00/g)?.length === it.networkInterfaces.length,
  },
  {
    name: 'inserting a disc',
    launch: { cdrom: true },
    before: [
      async (client, it) =>
        it.cdrom?.imageId ? client.changeCdrom({ ...params(it), body: { image: null } }) : undefined,
    ],
    ask: (client, it) => client.changeCdrom({ ...params(it), body: { image: 'disc' } }),
    holds: async (it) =>
      it?.cdrom?.imageName === 'disc' && (await virsh('domblklist', it.domainName)).includes(it.cdrom.imageId!),
  },
  {
    name: 'limit of a disk',
    ask: (client, it) =>
      client.limitDisk({ params: { id: it.id, volumeId: it.rootDiskId }, body: { iops: otherIops(it) } }),
    holds: async (it) =>
      it !== undefined &&
      (await virsh('blkdeviotune', it.domainName, 'vda')).includes(`: ${it.rootDiskLimits?.iops}\n`),
  },
  {
    name: 'edit',
    ask: async (client, it) => {
      const { effective } = await client.getDefinition(params(it));
      const isKept = effective.includes('<on_crash>preserve');
      const xml = effective.replace(/<on_crash>\w+/, isKept ? '<on_crash>restart' : '<on_crash>preserve');
      const { operationId } = await client.setOverlay({ ...params(it), body: { xml } });
      return operationId ? { operationId } : start(client, it);
    },
    holds: async (it) =>
      it !== undefined &&
      /<on_crash>(preserve|restart)/.test(await virsh('dumpxml', '--inactive', it.domainName)) &&
      it.state === 'running',
  },
  {
    name: 'adopt',
    creates: true,
    ask: async (client) => {
      const domain = await foreignDomain();
      return client.adoptInstance({ body: { domain } });
    },
    holds: (it) => it?.state === 'running' && it.origin === 'adopted',
  },
  {
    name: 'launch',
    creates: true,
    ask: (client) =>
      client.launchInstance({
        body: { name: `vm-launched-${++names}`, image: 'guest', type: 'nano', network: 'default' },
      }),
    holds: state('running'),
  },
  {
    name: 'delete',
    ask: (client, it) => client.deleteInstance({ ...params(it), query: {} }),
    holds: (it) => it === undefined,
  },
];
