// What a host itself has used, as its kernel counts it. Reads anew each time, changes nothing. What a kernel does not have is
// null, or counts as nothing used.
import type { CpuUsage, HostUsage, PressureUsage, TrafficUsage } from '@virga/contract/agent/host-usage';
import type { HostSystem } from '../host-system/host-system.ts';
import { kibOf } from '../host-system/kib-of.ts';
import { storageCounters } from './storage-counters.ts';

export type HostCounters = Omit<HostUsage, 'bootId' | 'domains'>;

/** Linux counts in hundredths of a second towards programs, whatever it ticks by itself. */
const msPerTick = 10;

/** @param storagePath absolute, without symbolic links */
export async function hostCounters(system: HostSystem, storagePath: string): Promise<HostCounters> {
  const read = async (path: string) => (await system.read(path)) ?? '';
  const [stat, uptime, meminfo, loadavg, storage, network, pressure] = await Promise.all([
    read('/proc/stat'),
    read('/proc/uptime'),
    read('/proc/meminfo'),
    read('/proc/loadavg'),
    storageCounters(system, storagePath),
    networkCounters(system),
    pressureCounters(system),
  ]);
  const [load1 = 0, load5 = 0, load15 = 0] = numbersOf(loadavg);
  return {
    uptimeMs: Math.round((numbersOf(uptime)[0] ?? 0) * 1000),
    cpus: cpuCounters(stat),
    load: [load1, load5, load15],
    memory: memoryOf(meminfo),
    storage,
    network,
    pressure,
  };
}

const numbersOf = (text: string): number[] => text.trim().split(/\s+/).map(Number).filter(Number.isFinite);

/** Time of guests is in user and nice already. @see proc(5) on /proc/stat */
export function cpuCounters(stat: string): CpuUsage[] {
  return [...stat.matchAll(/^cpu(\d+) (.*)$/gm)].map(([, id, rest = '']) => {
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = numbersOf(rest);
    return {
      id: Number(id),
      busyMs: (user + nice + system + irq + softirq) * msPerTick,
      idleMs: (idle + iowait) * msPerTick,
      stolenMs: steal * msPerTick,
    };
  });
}

function memoryOf(meminfo: string): HostUsage['memory'] {
  const kib = (name: string) => kibOf(meminfo, name);
  return {
    totalKib: kib('MemTotal') ?? 0,
    availableKib: kib('MemAvailable') ?? kib('MemFree') ?? 0,
    swapTotalKib: kib('SwapTotal') ?? 0,
    swapFreeKib: kib('SwapFree') ?? 0,
  };
}

/**
 * Of what has hardware behind it: the rest would count the same packets again. A host without such a card counts all that
 * is neither the loopback, nor a bridge, nor a port of a guest.
 */
async function networkCounters(system: HostSystem): Promise<TrafficUsage> {
  const names = await system.list('/sys/class/net');
  const kinds = await Promise.all(names.map((name) => kindOf(system, name)));
  const ofKind = (kind: Kind) => names.filter((_, index) => kinds[index] === kind);
  const cards = ofKind('card');
  const counted = new Set(cards.length > 0 ? cards : ofKind('other'));
  const total: TrafficUsage = { receivedBytes: 0, sentBytes: 0 };
  for (const [, name = '', rest = ''] of ((await system.read('/proc/net/dev')) ?? '').matchAll(
    /^\s*([^\s:]+):(.*)$/gm,
  )) {
    if (!counted.has(name)) continue;
    const fields = numbersOf(rest);
    total.receivedBytes += fields[0] ?? 0;
    total.sentBytes += fields[8] ?? 0;
  }
  return total;
}

type Kind = 'card' | 'inside' | 'other';

async function kindOf(system: HostSystem, name: string): Promise<Kind> {
  const has = (entry: string) => system.exists(`/sys/class/net/${name}/${entry}`);
  if (await has('device')) return 'card';
  const isInside = name === 'lo' || (await Promise.all([has('bridge'), has('tun_flags'), has('brport')])).some(Boolean);
  return isInside ? 'inside' : 'other';
}

/** @see https://docs.kernel.org/accounting/psi.html */
async function pressureCounters(system: HostSystem): Promise<PressureUsage | null> {
  const [cpu, memory, io] = await Promise.all(
    ['cpu', 'memory', 'io'].map((resource) => system.read(`/proc/pressure/${resource}`)),
  );
  if (cpu === undefined || memory === undefined || io === undefined) return null;
  const totalMs = (text: string, share: 'some' | 'full') =>
    Math.round(Number(new RegExp(`^${share} .*\\btotal=(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1000);
  return {
    cpuSomeMs: totalMs(cpu, 'some'),
    memorySomeMs: totalMs(memory, 'some'),
    memoryFullMs: totalMs(memory, 'full'),
    ioSomeMs: totalMs(io, 'some'),
    ioFullMs: totalMs(io, 'full'),
  };
}
