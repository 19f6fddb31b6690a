// The threads of QEMU processes as the kernel tells them in procfs: where each may run, where it was last seen, and how much
// of a CPU it took over a short time. What taskset shows of each of them, of all at once. Changes nothing; a thread that ends
// while it is looked at is left out.
import { parseCpuList } from '@virga/contract/agent/cpu-list';
import type { GuestThread } from '@virga/contract/agent/cpu-map';
import type { HostSystem } from '../host-system/host-system.ts';

/** Ticks of the clock in which the kernel counts CPU time for procfs. */
const ticksPerSecond = 100;
const nsPerTick = 1e9 / ticksPerSecond;

/** libvirt writes it down for each domain that is on. */
export async function pidOf(system: HostSystem, domainName: string): Promise<number | undefined> {
  const pid = Number((await system.read(`/run/libvirt/qemu/${domainName}.pid`))?.trim());
  return pid > 0 ? pid : undefined;
}

/** Where the threads of a process may run, in one read each. */
export async function threadPlaces(
  system: HostSystem,
  pid: number,
): Promise<Pick<ThreadSample, 'tid' | 'name' | 'allowedCpus'>[]> {
  const tids = (await system.list(`/proc/${pid}/task`)).map(Number);
  const found = await Promise.all(
    tids.map(async (tid) => {
      const status = (await system.read(`/proc/${pid}/task/${tid}/status`)) ?? '';
      const name = /^Name:\s(.*)$/m.exec(status)?.[1];
      const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
      return name === undefined || allowed === undefined
        ? undefined
        : { tid, name, allowedCpus: parseCpuList(allowed) };
    }),
  );
  return found.filter((thread) => thread !== undefined);
}

export type ThreadSample = { tid: number; name: string; allowedCpus: number[]; lastCpu: number; cpuTimeNs: number };

export async function sampleThreads(system: HostSystem, pid: number): Promise<ThreadSample[]> {
  const tids = (await system.list(`/proc/${pid}/task`)).map(Number).sort((one, other) => one - other);
  const samples = await Promise.all(tids.map((tid) => sampleThread(system, pid, tid)));
  return samples.filter((sample) => sample !== undefined);
}

async function sampleThread(system: HostSystem, pid: number, tid: number): Promise<ThreadSample | undefined> {
  const folder = `/proc/${pid}/task/${tid}`;
  const [stat, status, schedule] = await Promise.all(
    ['stat', 'status', 'schedstat'].map((file) => system.read(`${folder}/${file}`)),
  );
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status ?? '')?.[1];
  // The name is in brackets and may have any character, brackets too.
  const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(stat ?? '') ?? [];
  if (allowed === undefined || name === undefined || rest === undefined) return undefined;
  const fields = rest.trim().split(' ');
  // Counted from the state, which is the third field of proc(5).
  const [userTicks, systemTicks, processor] = [fields[11], fields[12], fields[36]].map(Number);
  const exactNs = Number(schedule?.split(' ')[0]);
  return {
    tid,
    name,
    allowedCpus: parseCpuList(allowed),
    lastCpu: processor ?? 0,
    cpuTimeNs: exactNs > 0 ? exactNs : ((userTicks ?? 0) + (systemTicks ?? 0)) * nsPerTick,
  };
}

/** Which thread of QEMU it is, by the name that QEMU gives it. Emulated vCPUs are named by TCG, others by KVM. */
export function kindOf(name: string): Pick<GuestThread, 'kind' | 'index'> {
  const vcpu = /^CPU (\d+)\//.exec(name)?.[1];
  if (vcpu !== undefined) return { kind: 'vcpu', index: Number(vcpu) };
  const iothread = /^IO iothread(\d+)$/.exec(name)?.[1];
  if (iothread !== undefined) return { kind: 'iothread', index: Number(iothread) };
  return { kind: 'emulator', index: null };
}

/** From two looks at the same threads. */
export function threadsBetween(
  before: readonly ThreadSample[],
  after: readonly ThreadSample[],
  elapsedMs: number,
): GuestThread[] {
  const earlier = new Map(before.map((sample) => [sample.tid, sample.cpuTimeNs]));
  const threads = after.map(({ tid, name, allowedCpus, lastCpu, cpuTimeNs }) => ({
    tid,
    name,
    ...kindOf(name),
    allowedCpus,
    lastCpu,
    busyPercent: percent((cpuTimeNs - (earlier.get(tid) ?? cpuTimeNs)) / 1e6, elapsedMs),
  }));
  const order = ['vcpu', 'iothread', 'emulator'];
  return threads.sort(
    (one, other) => order.indexOf(one.kind) - order.indexOf(other.kind) || (one.index ?? 0) - (other.index ?? 0),
  );
}

export type CpuTicks = ReadonlyMap<number, { busy: number; all: number }>;

/** What each CPU of the host has done since it booted. */
export async function sampleCpus(system: HostSystem): Promise<CpuTicks> {
  const found = new Map<number, { busy: number; all: number }>();
  for (const line of ((await system.read('/proc/stat')) ?? '').split('\n')) {
    const [, id, counters] = /^cpu(\d+) (.*)$/.exec(line) ?? [];
    if (id === undefined || counters === undefined) continue;
    // Guests' time is in that of user already.
    const ticks = counters.trim().split(/\s+/).map(Number).slice(0, 8);
    const all = ticks.reduce((sum, count) => sum + count, 0);
    found.set(Number(id), { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all });
  }
  return found;
}

export function busyBetween(before: CpuTicks, after: CpuTicks): { id: number; busyPercent: number }[] {
  return [...after]
    .map(([id, now]) => {
      const then = before.get(id) ?? now;
      return { id, busyPercent: percent(now.busy - then.busy, now.all - then.all) };
    })
    .sort((one, other) => one.id - other.id);
}

const percent = (part: number, whole: number): number =>
  whole > 0 ? Math.min(100, Math.max(0, Math.round((part / whole) * 1000) / 10)) : 0;
