// The CPUs of this host: divides them, moves guests that run accordingly, tells which of their threads runs where, and which
// CPU model they could be given. Of the division only a file is kept; everything else is libvirt's and the kernel's.
import { isDeepStrictEqual } from 'node:util';
import type {
  CpuKeeping,
  DesiredCpuPools,
  GuestCpuModel,
  GuestThreads,
  HostCpuMap,
} from '@virga/contract/agent/cpu-map';
import { type CpuTuning, instanceDefaults } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import {
  busyBetween,
  pidOf,
  sampleCpus,
  sampleThreads,
  type ThreadSample,
  threadsBetween,
} from '../../guest-threads/guest-threads.ts';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { modelElement } from '../instances/cpu-xml.ts';
import { lookAt, type OwnDomain, readRecord } from '../instances/domain-lookup.ts';
import { pinAdopted, pinGuest } from '../instances/live-cpu.ts';
import { isOff } from '../instances/power.ts';
import { readShellRecord } from '../warm/shell-record.ts';
import { childAt, childrenOf, element, parseXml, textElement, type XmlElement } from '../xml.ts';
import { hostArchitecture } from './architecture.ts';
import { isUndivided } from './cpu-division.ts';
import { keepCpus } from './cpu-drift.ts';
import { hostCpuChoices } from './host-cpu-choices.ts';

const sharedCpu: CpuTuning = { ...instanceDefaults.cpu, hostCpus: [] };

export function cpuKeeping(context: AgentContext): CpuKeeping {
  return {
    applyCpuPools: (cloudId, pools, call = {}) => applyCpuPools(context, cloudId, pools, call.signal),
    keepCpus: (cloudId, call = {}) => keepCpus(context, cloudId, call.signal),
    cpuMap: (sampleMs, call = {}) => cpuMap(context, sampleMs, call.signal),
    guestCpu: () => context.hypervisor.ask('look at its processor', (connection) => guestCpu(context, connection)),
    baselineCpu: (cpus) => baselineCpu(context, cpus),
    canGiveCpu: (model) => canGiveCpu(context, model),
  };
}

async function applyCpuPools(
  context: AgentContext,
  cloudId: string,
  pools: DesiredCpuPools,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { cpuPools, hypervisor, hook, locks } = context;
  await locks.run('cpu-pools', async () => {
    const before = await cpuPools.read();
    const isKnown = isDeepStrictEqual(before.pools, pools);
    if (isKnown && before.isSettled && isUndivided(pools)) return;
    await hook('cpu-pools', cloudId);
    if (!isKnown || before.isSettled) await cpuPools.write({ pools, isSettled: false });
    const domains = await hypervisor.ask('list the domains', (connection) => connection.domains.list({ active: true }));
    for (const domain of domains) {
      signal?.throwIfAborted();
      await moveGuest(context, cloudId, domain);
    }
    await cpuPools.write({ pools, isSettled: true });
  });
}

async function moveGuest(context: AgentContext, cloudId: string, ref: DomainRef): Promise<void> {
  const look = () => context.hypervisor.ask('look at a domain', (connection) => lookAt(connection, ref.uuid));
  const id = (await look())?.record?.instanceId;
  if (id === undefined) {
    await moveShell(context, cloudId, ref);
    return;
  }
  await context.locks.run(id, async () => {
    const domain = await look();
    if (domain?.record?.cloudId !== cloudId || isOff(domain as OwnDomain)) return;
    const { desired } = domain.record;
    try {
      if (desired.origin === 'adopted') await pinAdopted(context, desired, domain.ref);
      else await pinGuest(context, desired, domain.ref, await hostCpuChoices(context));
    } catch (error) {
      // It has gone off meanwhile, and is started where it may run.
      const now = await look();
      if (now !== undefined && !isOff(now as OwnDomain)) throw error;
    }
  });
}

/** A template that boots, or a copy that waits to become an instance, which then is moved as one. */
async function moveShell(context: AgentContext, cloudId: string, ref: DomainRef): Promise<void> {
  const { hypervisor, locks } = context;
  const read = () => hypervisor.ask('look at a copy', (connection) => readShellRecord(connection, ref));
  const shell = await read();
  if (shell?.cloudId !== cloudId) return;
  const id = shell.instanceId ?? shell.templateId;
  const move = async () => {
    if ((await read()) === undefined) return;
    try {
      await pinGuest(context, { id, cpu: sharedCpu, maxVcpus: 1 }, ref, await hostCpuChoices(context));
    } catch (error) {
      // It has gone meanwhile.
      if ((await read()) !== undefined) throw error;
    }
  };
  // A template is held until it has booted, and never becomes an instance.
  await (shell.instanceId === null ? move() : locks.run(id, move));
}

async function cpuMap(context: AgentContext, sampleMs: number, signal: AbortSignal | undefined): Promise<HostCpuMap> {
  const { hypervisor, system, clock } = context;
  const found = await hypervisor.ask('list the domains', async (connection) => {
    const domains = await connection.domains.list({ active: true });
    return Promise.all(
      domains.map(async ({ name, uuid, id }) => {
        const record = await readRecord(connection, { name, uuid, id });
        return { domainName: name, instanceId: record?.instanceId ?? null };
      }),
    );
  });
  const guests = await Promise.all(
    found.map(async (guest) => ({ ...guest, pid: await pidOf(system, guest.domainName) })),
  );
  const running = guests.filter((guest): guest is typeof guest & { pid: number } => guest.pid !== undefined);
  const look = async () => {
    const startedMs = performance.now();
    const [cpus, ...threads] = await Promise.all([
      sampleCpus(system),
      ...running.map(({ pid }) => sampleThreads(system, pid)),
    ]);
    return { cpus, threads, atMs: (startedMs + performance.now()) / 2 };
  };
  const before = await look();
  await clock.delay(sampleMs, signal);
  const after = await look();
  const elapsedMs = after.atMs - before.atMs;
  return {
    sampleMs: Math.round(elapsedMs),
    cpus: busyBetween(before.cpus, after.cpus),
    guests: running.map((guest, index): GuestThreads => {
      const [then, now]: ThreadSample[][] = [before.threads[index] ?? [], after.threads[index] ?? []];
      return { ...guest, threads: threadsBetween(then!, now!, elapsedMs) };
    }),
  };
}

/** What libvirt is asked about: guests of the newest machine under what this host accelerates by. */
async function choiceOf({ accelerator }: AgentContext) {
  const arch = hostArchitecture();
  const { mode } = await accelerator.acceleration();
  return { arch, machine: arch === 'x86_64' ? 'q35' : 'virt', virtType: mode === 'kvm' ? 'kvm' : 'qemu' };
}

/** The model of the host as libvirt would write it into a domain. */
async function guestCpu(context: AgentContext, { node }: Connection): Promise<string> {
  const capabilities = parseXml(await node.domainCapabilities(await choiceOf(context)));
  const model = childrenOf(childAt(capabilities, 'cpu'), 'mode').find(
    ({ attributes }) => attributes.name === 'host-model',
  );
  if (model === undefined || childAt(model, 'model') === undefined) {
    throw new VirgaError('HypervisorRefused', {
      detail: 'libvirt knows no model for the processor of this host.',
      action: 'Update libvirt there, or let guests have the CPU of their host.',
    });
  }
  const text = (name: string) => childAt(model, name)?.text;
  const vendor = text('vendor');
  return element(
    'cpu',
    { mode: 'custom', match: 'exact' },
    textElement('model', text('model') ?? '', { fallback: 'forbid' }),
    vendor !== undefined && textElement('vendor', vendor),
    ...featuresOf(model).map((feature) => element('feature', feature)),
  );
}

async function baselineCpu(context: AgentContext, cpus: readonly string[]): Promise<GuestCpuModel> {
  const choice = await choiceOf(context);
  try {
    const xml = await context.hypervisor.ask('compute a CPU model', ({ node }) => node.baselineCpu(cpus, choice));
    const cpu = parseXml(xml);
    return {
      name: childAt(cpu, 'model')?.text ?? '',
      vendor: childAt(cpu, 'vendor')?.text ?? null,
      features: featuresOf(cpu),
    };
  } catch (error) {
    if (error instanceof VirgaError && error.code === 'HostUnavailable') throw error;
    throw new VirgaError('HypervisorRefused', {
      detail: 'libvirt finds no CPU model that all these hosts could give.',
      action: 'Let guests have the CPU of their host, which is so by itself.',
      cause: error,
    });
  }
}

async function canGiveCpu(context: AgentContext, model: GuestCpuModel): Promise<boolean> {
  const choice = await choiceOf(context);
  return context.hypervisor.ask('compare a CPU model', async ({ node }) => {
    try {
      const result = await node.compareCpu(modelElement(model), choice);
      return result === 'identical' || result === 'superset';
    } catch (error) {
      // Such as of another vendor, or unknown to this libvirt.
      if (isLibvirtError(error, 'CPU_INCOMPATIBLE', 'CONFIG_UNSUPPORTED', 'INTERNAL_ERROR')) return false;
      throw error;
    }
  });
}

function featuresOf(cpu: XmlElement): GuestCpuModel['features'] {
  return childrenOf(cpu, 'feature').map(({ attributes }) => ({
    name: attributes.name ?? '',
    policy: attributes.policy === 'disable' ? 'disable' : 'require',
  }));
}
