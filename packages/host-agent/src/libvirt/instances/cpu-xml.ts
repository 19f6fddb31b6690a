// How the vCPUs of a domain run, in its XML: CPU model, pins, weight and cap, and the node of its memory. Pure. A guest that
// may run anywhere has no pins, so that its definition does not depend on how many CPUs its host has.
// @see https://libvirt.org/formatdomain.html#cpu-tuning
import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { GuestCpuModel } from '@virga/contract/agent/cpu-map';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { hasNodeMemory } from '../../pending-memory.ts';
import { isAnywhere, pinsOf } from '../host/cpu-division.ts';
import { weightOf } from '../host/cpu-weights.ts';
import { element, textElement } from '../xml.ts';
import type { HostChoices } from './domain-host.ts';

/** Over which a cap is kept. */
export const capPeriodUs = 100_000;

export const capQuotaUs = (capPercent: number): number => (capPercent * capPeriodUs) / 100;

/** @param ioThreads numbers of its threads for disks */
export function cpuTuneElement(
  desired: DesiredInstance,
  { cpus }: HostChoices,
  ioThreads: readonly number[],
): string | false {
  if (cpus === undefined) return false;
  const { shares, capPercent } = desired.cpu;
  const { weights, division } = cpus;
  const pins = pinsOf(desired, division);
  const isPinned = !isAnywhere(pins, division);
  const tuning = [
    shares !== null && weights && textElement('shares', weightOf(shares, weights)),
    ...(capPercent === null ? [] : [textElement('period', capPeriodUs), textElement('quota', capQuotaUs(capPercent))]),
    ...(isPinned ? pins.vcpus.map((cpuset, vcpu) => element('vcpupin', { vcpu, cpuset: formatCpuList(cpuset) })) : []),
    isPinned && element('emulatorpin', { cpuset: formatCpuList(pins.emulator) }),
    ...(isPinned
      ? ioThreads.map((iothread) => element('iothreadpin', { iothread, cpuset: formatCpuList(pins.emulator) }))
      : []),
  ].filter((child) => typeof child === 'string');
  return tuning.length > 0 && element('cputune', {}, ...tuning);
}

export function numaTuneElement(desired: DesiredInstance): string | false {
  if (!hasNodeMemory(desired)) return false;
  return element('numatune', {}, element('memory', { mode: 'strict', nodeset: desired.cpu.node! }));
}

/** @param children such as the guest's own NUMA cells */
export function modelElement({ name, vendor, features }: GuestCpuModel, ...children: (string | false)[]): string {
  return element(
    'cpu',
    { mode: 'custom', match: 'exact', check: 'partial' },
    textElement('model', name, { fallback: 'forbid' }),
    vendor !== null && textElement('vendor', vendor),
    ...features.map((feature) => element('feature', feature)),
    ...children,
  );
}
