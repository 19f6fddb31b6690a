// The CPUs of a simulated host: how they are divided, where the threads of its guests may run by that, and what model they
// could be given. The rules are those of a real host; a thread is wherever it may be, at once.
import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { CpuDrift, CpuKeeping, DesiredCpuPools, GuestCpuModel, GuestThread } from '@virga/contract/agent/cpu-map';
import { VirgaError } from '@virga/contract/errors';
import type { CpuLayout } from '../host-topology/cpu-layout.ts';
import { type CpuDivision, type HostCpuChoices, isSame, pinsOf, wholeHost } from '../libvirt/host/cpu-division.ts';
import { ioThreadIds } from '../libvirt/instances/disk-driver-xml.ts';
import { childAt, childrenOf, element, parseXml, textElement } from '../libvirt/xml.ts';
import type { Calls } from './call-steps.ts';
import { sizesOf } from './guest-sizes.ts';
import { nameOf, type StoredDomain } from './host-records.ts';
import { type SimulatedHardware, topologyOf } from './simulated-hardware.ts';
import type { SimulatedHost } from './simulated-host.ts';

const self = 'host';
const firstPid = 1000;

/** Hosts of a fleet are alike, and have one between them. */
const layouts = new Map<string, CpuLayout>();

export function layoutOf(hardware: SimulatedHardware): CpuLayout {
  const { cpuThreads, numaNodes, threadsPerCore, isolatedCpus } = hardware;
  const key = JSON.stringify([cpuThreads, numaNodes, threadsPerCore, isolatedCpus]);
  const layout = layouts.get(key) ?? readLayout(hardware);
  layouts.set(key, layout);
  return layout;
}

function readLayout(hardware: SimulatedHardware): CpuLayout {
  const { cpus, numaNodes } = topologyOf(hardware);
  const ofNode = (node: number) => cpus.filter((cpu) => cpu.node === node).map(({ id }) => id);
  return {
    online: cpus.map(({ id }) => id),
    isolated: cpus.filter(({ isolated }) => isolated).map(({ id }) => id),
    nodes: new Map(numaNodes.map(({ id }) => [id, ofNode(id)])),
  };
}

export const poolsOf = (host: SimulatedHost): DesiredCpuPools => host.store.cpuPools.get(self) ?? wholeHost;

/** As for the domain XML of its guests. */
export function cpuChoicesOf(host: SimulatedHost): HostCpuChoices {
  const pools = poolsOf(host);
  return { division: divisionOf(host), weights: { usual: 100, highest: 10_000 }, guestModel: pools.guestModel };
}

const divisionOf = (host: SimulatedHost): CpuDivision => ({ layout: host.cpuLayout, pools: poolsOf(host) });

export function simulatedCpus(
  host: SimulatedHost,
  calls: Calls,
  { cpuFeatures = ['avx', 'sse4.2'] }: SimulatedHardware,
): CpuKeeping {
  return {
    applyCpuPools: (cloudId, pools, context) =>
      calls.run('applyCpuPools', cloudId, context, (steps) =>
        steps.take('cpu-pools', 50, 0, () => host.store.cpuPools.set(self, pools)),
      ),
    keepCpus: (cloudId, context) =>
      calls.run('keepCpus', cloudId, context, () =>
        host.store.domains
          .all()
          .filter(({ power, record }) => power !== 'off' && record.cloudId === cloudId)
          .flatMap((domain) => keptAs(host, domain)),
      ),
    cpuMap: (sampleMs, context) =>
      calls.run('cpuMap', self, context, () => ({
        sampleMs,
        cpus: host.cpuLayout.online.map((id) => ({ id, busyPercent: 0 })),
        guests: host.store.domains
          .all()
          .filter(({ power }) => power !== 'off')
          .map((domain, index) => {
            const pid = firstPid * (index + 1);
            const { instanceId } = domain.record;
            return { instanceId, domainName: nameOf(domain), pid, threads: threadsOf(host, domain, pid) };
          }),
      })),
    guestCpu: (context) =>
      calls.run('guestCpu', self, context, () =>
        element(
          'cpu',
          {},
          textElement('arch', 'x86_64'),
          textElement('model', 'Simulated'),
          ...cpuFeatures.map((name) => element('feature', { name })),
        ),
      ),
    baselineCpu: (cpus, context) => calls.run('baselineCpu', self, context, () => baselineOf(cpus)),
    canGiveCpu: (model, context) =>
      calls.run(
        'canGiveCpu',
        self,
        context,
        () =>
          model.name === 'Simulated' &&
          model.features.every(({ name, policy }) => policy === 'disable' || cpuFeatures.includes(name)),
      ),
  };
}

/** An overlay says nothing of CPUs here. */
function keptAs(host: SimulatedHost, domain: StoredDomain): CpuDrift[] {
  const { instanceId: id, desired } = domain.record;
  const { ran } = domain;
  if (ran === undefined) return [];
  host.store.domains.set(id, { ...domain, ran: undefined });
  const pins = pinsOf(desired, divisionOf(host));
  const moved = ran.cpus && formatCpuList(ran.cpus);
  const { shares, capPercent } = desired.cpu;
  const changes = [
    ...(moved && !isSame(ran.cpus!, pins.vcpus[0]!)
      ? [`vCPU 0 could run on CPU ${moved} instead of ${formatCpuList(pins.vcpus[0]!)}`]
      : []),
    ...(ran.shares !== undefined && ran.shares !== (shares ?? 100)
      ? [`it had ${ran.shares} shares instead of ${shares ?? 100}`]
      : []),
    ...(ran.capPercent !== undefined && ran.capPercent !== capPercent
      ? [`it was capped at ${ran.capPercent} % instead of ${capPercent === null ? 'not at all' : `at ${capPercent} %`}`]
      : []),
  ];
  return changes.length > 0 ? [{ id, changes }] : [];
}

function threadsOf(host: SimulatedHost, domain: StoredDomain, pid: number): GuestThread[] {
  const { desired } = domain.record;
  const { vcpus, maxVcpus } = sizesOf(domain);
  const wanted = pinsOf({ ...desired, maxVcpus }, divisionOf(host));
  const moved = domain.ran?.cpus;
  const pins = moved ? { vcpus: wanted.vcpus.map(() => moved), emulator: moved } : wanted;
  const thread = (tid: number, name: string, allowedCpus: readonly number[]) => ({
    tid,
    name,
    allowedCpus: [...allowedCpus],
    lastCpu: allowedCpus[0] ?? 0,
    busyPercent: 0,
  });
  const ioThreads = ioThreadIds(desired);
  return [
    ...Array.from({ length: vcpus }, (_, index) => ({
      ...thread(pid + 1 + index, `CPU ${index}/TCG`, pins.vcpus[index] ?? []),
      ...{ kind: 'vcpu' as const, index },
    })),
    ...ioThreads.map((index) => ({
      ...thread(pid + 100 + index, `IO iothread${index}`, pins.emulator),
      ...{ kind: 'iothread' as const, index },
    })),
    { ...thread(pid, 'qemu-system-x86', pins.emulator), kind: 'emulator' as const, index: null },
  ];
}

/** @throws HypervisorRefused */
function baselineOf(cpus: readonly string[]): GuestCpuModel {
  const models = cpus.map((xml) => {
    const cpu = parseXml(xml);
    return {
      name: childAt(cpu, 'model')?.text ?? '',
      features: childrenOf(cpu, 'feature').map(({ attributes }) => attributes.name ?? ''),
    };
  });
  const [first] = models;
  if (first === undefined || models.some(({ name }) => name !== first.name)) {
    throw new VirgaError('HypervisorRefused', {
      detail: 'There is no CPU model that all these hosts could give.',
      action: 'Let guests have the CPU of their host.',
    });
  }
  const common = first.features.filter((name) => models.every(({ features }) => features.includes(name)));
  return { name: first.name, vendor: null, features: common.map((name) => ({ name, policy: 'require' })) };
}
