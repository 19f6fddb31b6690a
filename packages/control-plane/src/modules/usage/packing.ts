// How many hosts would do for the instances there are: first fit decreasing, pure. An answer that can be had by moving
// instances, not the least there could be. Memory and vCPUs are never promised beyond what placement may promise.

export type Bin = { threads: number; vcpus: number; memoryMib: number };
/** What an instance holds, and the threads that it needs. */
export type Item = { vcpus: number; memoryMib: number; cpus: number };

/** Part of the threads of a host that stays free of what is needed 95 % of the time. */
const headRoom = 0.2;

/** Undefined when they do not all fit into the hosts in this way. */
export function hostsNeeded(items: readonly Item[], hosts: readonly Bin[]): number | undefined {
  const bins = hosts
    .map((host) => ({ ...host, cpus: host.threads * (1 - headRoom), used: false }))
    .sort((a, b) => b.memoryMib - a.memoryMib || b.threads - a.threads);
  const whole = sum(bins);
  const size = (item: Item) =>
    Math.max(share(item.memoryMib, whole.memoryMib), share(item.vcpus, whole.vcpus), share(item.cpus, whole.cpus));
  for (const item of items.toSorted((a, b) => size(b) - size(a))) {
    const bin = bins.find(
      ({ cpus, vcpus, memoryMib }) => item.cpus <= cpus && item.vcpus <= vcpus && item.memoryMib <= memoryMib,
    );
    if (!bin) return undefined;
    bin.cpus -= item.cpus;
    bin.vcpus -= item.vcpus;
    bin.memoryMib -= item.memoryMib;
    bin.used = true;
  }
  return bins.filter(({ used }) => used).length;
}

const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);

const sum = (bins: readonly { cpus: number; vcpus: number; memoryMib: number }[]) =>
  bins.reduce(
    (total, bin) => ({
      cpus: total.cpus + bin.cpus,
      vcpus: total.vcpus + bin.vcpus,
      memoryMib: total.memoryMib + bin.memoryMib,
    }),
    { cpus: 0, vcpus: 0, memoryMib: 0 },
  );
