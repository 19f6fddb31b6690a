// What a template and its copies must have in common, as one line of text: the machine as libvirt is told of it, and what runs
// it. Memory of one machine makes no sense in another, so a template of another shape is stale. Pure but for asking the host.
import { createHash } from 'node:crypto';
import { cpus, release } from 'node:os';
import { type DesiredInstance, instanceDefaults } from '@virga/contract/agent/desired';
import type { DesiredTemplate } from '@virga/contract/agent/warm';
import type { AgentContext } from '../agent-context.ts';
import { type DiskSource, sharedSource } from '../disks/disk-source.ts';
import { hostChoices } from '../host/host-choices.ts';
import { withoutDivision } from '../host/host-cpu-choices.ts';
import type { HostChoices } from '../instances/domain-host.ts';
import { recordOf } from '../instances/domain-metadata.ts';
import { domainXml, type WarmStart } from '../instances/domain-xml.ts';

type Place = { rootDisk: string; image: DiskSource | null; seed: string; consoleLog: string };
type Identity = Pick<DesiredInstance, 'id' | 'cloudId' | 'uuid' | 'domainName'>;

/** The instance that a machine of this template is before it is one: all that its domain has is the template's. */
export function machineOf(
  { imageId, vcpus, memoryMib, diskBytes }: DesiredTemplate,
  { id, cloudId, uuid, domainName }: Identity,
): DesiredInstance {
  return {
    ...instanceDefaults,
    // Whose it will be nobody knows yet, and the kernel merges across all.
    memoryBacking: { hugePageKib: null, mergeable: false },
    bootOrder: ['disk'],
    volumes: [],
    overlay: [],
    ...{ id, cloudId, uuid, domainName },
    projectId: 'proj-00000000000000000',
    name: domainName,
    generation: 0,
    vcpus,
    maxVcpus: vcpus,
    memoryMib,
    maxMemoryMib: memoryMib,
    firmware: 'bios',
    rootDisk: { id: 'vol-00000000000000000', imageId, sizeBytes: diskBytes },
    nics: [],
    seed: { hostName: domainName, publicKeys: [], userData: null },
    power: { state: 'running' },
    reboot: null,
  };
}

/** Its domain, with metadata of its own kind: it is no instance. */
export function machineXml(
  machine: DesiredInstance,
  metadata: string,
  { rootDisk, seed, consoleLog, image }: Place,
  host: HostChoices,
  warm: WarmStart,
): string {
  return domainXml({
    desired: machine,
    record: recordOf(machine, null),
    metadata,
    files: { rootDisk, seed, consoleLog, nvram: '' },
    rootDisk: { path: rootDisk, format: 'qcow2', base: image === null ? undefined : sharedSource(image) },
    volumes: new Map(),
    disc: null,
    networkNames: new Map(),
    host,
    warm,
  });
}

export async function shapeOf(context: AgentContext, template: DesiredTemplate): Promise<string> {
  const [host, versions] = await Promise.all([
    hostChoices(context),
    context.hypervisor.ask('look at the host', ({ node }) => Promise.all([node.hypervisorVersion(), node.version()])),
  ]);
  const identity = { id: 'i-00000000000000000', cloudId: '', uuid: '', domainName: 'template' } as const;
  const machine = machineOf({ ...template, imageId: 'ami-00000000000000000' }, identity);
  const place = { rootDisk: '', seed: '', consoleLog: '', image: null };
  const xml = machineXml(machine, '', place, withoutDivision(host), { memoryFile: '', isCopy: false, genId: '' });
  const facts = [xml, versions, cpus()[0]?.model, release()];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
