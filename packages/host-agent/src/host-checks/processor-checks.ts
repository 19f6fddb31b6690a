// How the processors of the host run: frequency, isolation between threads and guests, nodes, clock, and how busy they are.
import { hostTopology } from '../host-topology/host-topology.ts';
import type { HostCheck, Look } from './host-check.ts';
import { sysfsRepair } from './repairs.ts';

const cpuFolder = '/sys/devices/system/cpu';

const governor: HostCheck = {
  name: 'cpu-governor',
  title: 'CPU frequency governor',
  why: 'A governor that keeps the lowest frequency makes every guest slow.',
  repairs: 'scaling_governor of each policy, now and at each start',
  async look(look) {
    const folder = `${cpuFolder}/cpufreq`;
    const policies = (await look.system.list(folder)).filter((name) => /^policy\d+$/.test(name));
    const read = async (name: string) => ({
      path: `${folder}/${name}/scaling_governor`,
      governor: await look.read(`${folder}/${name}/scaling_governor`),
    });
    const all = (await Promise.all(policies.map(read))).filter(({ governor }) => governor !== undefined);
    const first = policies[0];
    if (first === undefined || all.length === 0) {
      return { verdict: 'not-applicable', seen: 'The host does not set the frequency of its processors itself.' };
    }
    const driver = (await look.read(`${folder}/${first}/scaling_driver`)) ?? 'unknown';
    const names = [...new Set(all.map(({ governor }) => governor))].join(', ');
    // Theirs scale with the load under every name.
    const isActive = /^(intel_pstate|amd-pstate-epp)$/.test(driver);
    const slow = isActive ? [] : all.filter(({ governor }) => governor === 'powersave');
    if (slow.length === 0) return { verdict: 'ok', seen: `${names}, of the driver ${driver}.` };
    const available = (await look.read(`${folder}/${first}/scaling_available_governors`))?.split(' ') ?? [];
    const better = ['schedutil', 'ondemand', 'performance'].find((name) => available.includes(name)) ?? 'performance';
    return {
      verdict: 'warning',
      seen: `${slow.length} of ${all.length} frequency policies keep the lowest frequency (powersave of ${driver}).`,
      settings: sysfsRepair(
        'cpu-governor',
        slow.map(({ path }) => [path, better]),
        'The frequency follows the load.',
      ),
    };
  },
};

async function vulnerabilities(look: Look): Promise<{ name: string; text: string }[]> {
  const folder = `${cpuFolder}/vulnerabilities`;
  const names = await look.system.list(folder);
  const read = async (name: string) => ({ name, text: (await look.system.read(`${folder}/${name}`))?.trim() ?? '' });
  return Promise.all(names.map(read));
}

const mitigations: HostCheck = {
  name: 'mitigations',
  title: 'Mitigations of processor vulnerabilities',
  why: 'Without them a guest may read memory of the host and of other guests.',
  async look(look) {
    const all = await vulnerabilities(look);
    if (all.length === 0) return { verdict: 'not-applicable', seen: 'The kernel does not tell.' };
    const open = all.filter(({ text }) => /^(Vulnerable|Processor vulnerable)/.test(text));
    const partly = all.filter(({ text }) => /Vulnerable/.test(text) && !/^(Not affected|Vulnerable)/.test(text));
    for (const { name, text } of [...open, ...partly]) look.note(`${cpuFolder}/vulnerabilities/${name}`, text);
    const namesOf = (list: typeof all) => list.map(({ name }) => name).join(', ');
    const affected = all.filter(({ text }) => text !== 'Not affected').length;
    if (open.length > 0) {
      const off = ((await look.read('/proc/cmdline')) ?? '').includes('mitigations=off');
      return {
        verdict: 'warning',
        seen: `Nothing is done against ${namesOf(open)}${off ? ': the kernel was started with mitigations=off' : ''}.`,
        todo: off
          ? 'Take mitigations=off from the kernel command line, unless every guest is trusted.'
          : 'Bring kernel and microcode up to date: apt-get install intel-microcode or amd64-microcode.',
      };
    }
    if (partly.length > 0) return { verdict: 'advice', seen: `Only part is done against ${namesOf(partly)}.` };
    look.note(`${cpuFolder}/vulnerabilities/`, `${all.length} known, ${affected} affect this processor`);
    return { verdict: 'ok', seen: `All ${affected} that affect this processor are mitigated.` };
  },
};

const smt: HostCheck = {
  name: 'smt',
  title: 'Hyper-threads',
  why: 'Two guests on the threads of one core share its buffers, which some processors let them read.',
  async look(look) {
    const active = await look.read(`${cpuFolder}/smt/active`);
    if (active === undefined) return { verdict: 'not-applicable', seen: 'The kernel does not tell.' };
    if (active !== '1') return { verdict: 'ok', seen: 'No core has two threads at work.' };
    const leaks = (await vulnerabilities(look)).filter(({ text }) => /SMT vulnerable/.test(text));
    for (const { name, text } of leaks) look.note(`${cpuFolder}/vulnerabilities/${name}`, text);
    if (leaks.length === 0) return { verdict: 'ok', seen: 'Cores have two threads, which nothing known makes unsafe.' };
    return {
      verdict: 'advice',
      seen: `Cores have two threads, and ${leaks.map(({ name }) => name).join(', ')} leak between them.`,
      todo: 'Where guests do not trust each other, give them whole cores (policy dedicated), or start the kernel with nosmt.',
    };
  },
};

const numa: HostCheck = {
  name: 'numa',
  title: 'NUMA layout',
  why: 'Memory of another node is slower; nodes that are alike let guests be placed inside one.',
  async look(look) {
    const { cpus, numaNodes } = await hostTopology(look.system);
    const sizes = numaNodes.map(({ id, memoryMib }) => {
      const count = cpus.filter(({ node }) => node === id).length;
      return { id, memoryMib, count };
    });
    for (const { id, memoryMib, count } of sizes) {
      look.note(`/sys/devices/system/node/node${id}`, `${count} CPUs, ${memoryMib} MiB`);
    }
    if (sizes.length === 1) return { verdict: 'ok', seen: `One node with ${cpus.length} CPUs.` };
    const bare = sizes.filter(({ memoryMib, count }) => memoryMib === 0 && count > 0);
    if (bare.length > 0) {
      return {
        verdict: 'warning',
        seen: `Node ${bare.map(({ id }) => id).join(', ')} has CPUs and no memory: all it uses is far away.`,
        todo: 'Fill the memory slots of each socket alike.',
      };
    }
    const memories = sizes.filter(({ count }) => count > 0).map(({ memoryMib }) => memoryMib);
    if (Math.max(...memories) > Math.min(...memories) * 1.25) {
      return {
        verdict: 'advice',
        seen: `${sizes.length} nodes with unequal memory: ${memories.map((mib) => `${mib} MiB`).join(', ')}.`,
        todo: 'Fill the memory slots of each socket alike.',
      };
    }
    return { verdict: 'ok', seen: `${sizes.length} nodes with ${memories[0]} MiB and ${sizes[0]!.count} CPUs each.` };
  },
};

/** Reading them costs no exit, or next to nothing. */
const goodClocks = /^(tsc|kvm-clock|arch_sys_counter|hyperv_clocksource|xen|pvclock)/;

const clockSource: HostCheck = {
  name: 'clock-source',
  title: 'Clock source',
  why: 'A slow clock makes every look at the time a call to the kernel or to hardware, of guests too.',
  repairs: 'current_clocksource, now and at each start',
  async look(look) {
    const folder = '/sys/devices/system/clocksource/clocksource0';
    const current = await look.read(`${folder}/current_clocksource`);
    if (current === undefined) return { verdict: 'not-applicable', seen: 'The kernel does not tell.' };
    if (goodClocks.test(current)) return { verdict: 'ok', seen: `The kernel uses ${current}.` };
    const available = ((await look.read(`${folder}/available_clocksource`)) ?? '').split(' ');
    const better = available.find((name) => goodClocks.test(name));
    if (better === undefined) {
      return {
        verdict: 'warning',
        seen: `The kernel uses ${current}, and offers nothing faster.`,
        todo: 'See dmesg for why the TSC was given up: mostly a firmware that is out of date.',
      };
    }
    return {
      verdict: 'warning',
      seen: `The kernel uses ${current}, though ${better} is there.`,
      settings: sysfsRepair(
        'clock-source',
        [[`${folder}/current_clocksource`, better]],
        'The time is read from the processor itself.',
      ),
    };
  },
};

const sampleMs = 250;
const busyPercent = 80;

const utilisation: HostCheck = {
  name: 'utilisation',
  title: 'Utilisation now',
  why: 'A host that is busy before it runs a guest has no time for guests; one that never is has room for more.',
  async look(look, { pause }) {
    const read = async () => {
      const line = /^cpu\s+(.*)$/m.exec((await look.system.read('/proc/stat')) ?? '')?.[1] ?? '';
      // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already
      const ticks = line.split(/\s+/).slice(0, 8).map(Number);
      return { total: ticks.reduce((sum, value) => sum + value, 0), idle: (ticks[3] ?? 0) + (ticks[4] ?? 0) };
    };
    const before = await read();
    await pause(sampleMs);
    const after = await read();
    const total = after.total - before.total;
    // Nothing was counted in between: then since the host started.
    const share =
      total > 0 ? 1 - (after.idle - before.idle) / total : after.total > 0 ? 1 - after.idle / after.total : 0;
    const percent = Math.round(share * 100);
    look.note('/proc/stat', `${percent} % busy`);
    const load = (await look.read('/proc/loadavg'))?.split(' ')[0] ?? '?';
    const over = total > 0 ? `over ${sampleMs} ms` : 'since it started';
    const seen = `The processors are ${percent} % busy ${over}; the load is ${load}.`;
    if (percent < busyPercent) return { verdict: 'ok', seen };
    return { verdict: 'advice', seen, todo: 'See what keeps the host busy: top, and virga stats for its instances.' };
  },
};

export const processorChecks: readonly HostCheck[] = [governor, mitigations, smt, numa, clockSource, utilisation];
