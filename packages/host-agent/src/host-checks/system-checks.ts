// What the operating system has around guests: cgroups, limits of processes, confinement, time and names.
import type { HostCheck, Look } from './host-check.ts';
import { findProcess } from './processes.ts';

const neededControllers = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'blkio'] as const;
/** What version 2 calls them; null is part of it without being a controller. */
const inVersion2: Record<(typeof neededControllers)[number], string | null> = {
  cpu: 'cpu',
  cpuacct: null,
  cpuset: 'cpuset',
  memory: 'memory',
  devices: null,
  blkio: 'io',
};

const cgroups: HostCheck = {
  name: 'cgroups',
  title: 'Control groups',
  why: 'They keep one guest from taking the processor, memory and disks of the others.',
  async look(look) {
    const mounts = (await look.system.read('/proc/mounts')) ?? '';
    const rows = mounts.split('\n').map((line) => line.split(' '));
    const version1 = new Set(
      rows.filter(([, , type]) => type === 'cgroup').flatMap(([, , , options = '']) => options.split(',')),
    );
    const folder = rows.find(([, , type]) => type === 'cgroup2')?.[1];
    const text = folder === undefined ? undefined : await look.read(`${folder}/cgroup.controllers`);
    const version2 = new Set(text?.split(' ') ?? []);
    // Where version 1 has the controllers, what is mounted of version 2 is there for systemd alone.
    const isPure = folder !== undefined && !neededControllers.some((name) => version1.has(name));
    const has = (name: (typeof neededControllers)[number]) => {
      const other = inVersion2[name];
      return isPure
        ? other === null || version2.has(other)
        : version1.has(name) || (other !== null && version2.has(other));
    };
    const missing = neededControllers.filter((name) => !has(name));
    look.note('/proc/mounts', isPure ? 'cgroup2' : neededControllers.filter(has).join(', ') || null);
    if (missing.length === 0)
      return { verdict: 'ok', seen: `Version ${isPure ? 2 : 1}, with every controller that is needed.` };
    return {
      verdict: 'warning',
      seen: `There is no controller for ${missing.join(', ')}.`,
      todo: missing.includes('memory')
        ? 'Add cgroup_enable=memory to the kernel command line, or mount the controllers; then start libvirtd anew.'
        : 'Mount the controllers under /sys/fs/cgroup, or start a kernel that has them; then start libvirtd anew.',
    };
  },
};

const libvirtDaemons = ['libvirtd', 'virtqemud'];

/** Soft limit of the daemon that starts QEMU, which inherits it. @returns undefined: it does not run */
async function daemonLimit(look: Look, name: string): Promise<{ daemon: string; limit: number } | undefined> {
  const process = await findProcess(look, libvirtDaemons);
  if (process === undefined) return undefined;
  const row = new RegExp(`^${name}\\s+(\\S+)`, 'm');
  const text = await look.read(`/proc/${process.pid}/limits`, (all) => row.exec(all)?.[0] ?? 'not told');
  const value = row.exec(text ?? '')?.[1];
  return value === undefined
    ? undefined
    : { daemon: process.name, limit: value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value) };
}

const noDaemon = {
  verdict: 'not-applicable',
  seen: 'libvirt’s daemon does not run here, so nothing is known.',
} as const;
const leastFiles = 1024;
const goodFiles = 8192;

const openFiles: HostCheck = {
  name: 'open-files',
  title: 'Open files of QEMU',
  why: 'A guest with many disks and queues needs many; when they run out, devices cannot be plugged.',
  async look(look) {
    const found = await daemonLimit(look, 'Max open files');
    if (found === undefined) return noDaemon;
    const { daemon, limit } = found;
    const seen = `${daemon} and what it starts may open ${limit === Number.POSITIVE_INFINITY ? 'any number of files' : `${limit} files`}.`;
    if (limit >= goodFiles) return { verdict: 'ok', seen };
    return {
      verdict: limit < leastFiles ? 'warning' : 'advice',
      seen,
      todo: `Set max_files = ${goodFiles * 4} in /etc/libvirt/qemu.conf, then start ${daemon} anew.`,
    };
  },
};

const mebibyte = 1024 ** 2;
/** As Linux gives any program; io_uring and device assignment lock more. */
const leastLockedMib = 8;

const lockedMemory: HostCheck = {
  name: 'locked-memory',
  title: 'Locked memory of QEMU',
  why: 'io_uring and devices that are handed to guests need memory that is not swapped.',
  async look(look) {
    const found = await daemonLimit(look, 'Max locked memory');
    if (found === undefined) return noDaemon;
    const { daemon, limit } = found;
    if (limit === Number.POSITIVE_INFINITY)
      return { verdict: 'ok', seen: `${daemon} and what it starts may lock all they want.` };
    const mib = Math.floor(limit / mebibyte);
    const seen = `${daemon} and what it starts may lock ${mib} MiB; libvirt raises it for guests that need more.`;
    if (mib >= leastLockedMib) return { verdict: 'ok', seen };
    return {
      verdict: 'warning',
      seen,
      todo: `Give the unit of ${daemon} LimitMEMLOCK=64M (systemctl edit ${daemon}), then start it anew.`,
    };
  },
};

const confinement: HostCheck = {
  name: 'confinement',
  title: 'Confinement of guests (AppArmor, SELinux)',
  why: 'It keeps a QEMU that was broken into away from the disks of other guests.',
  async look(look) {
    const enforce = await look.read('/sys/fs/selinux/enforce');
    if (enforce === '1') return { verdict: 'ok', seen: 'SELinux is enforced.' };
    const appArmor = await look.read('/sys/module/apparmor/parameters/enabled');
    if (appArmor === 'Y')
      return { verdict: 'ok', seen: 'AppArmor is in the kernel; libvirt gives each guest a profile.' };
    if (enforce === '0') {
      return {
        verdict: 'warning',
        seen: 'SELinux only warns.',
        todo: 'setenforce 1, and SELINUX=enforcing in /etc/selinux/config.',
      };
    }
    return {
      verdict: 'warning',
      seen: 'Neither AppArmor nor SELinux is on: guests are kept apart by one user and file permissions alone.',
      todo: 'Start the kernel with apparmor=1 security=apparmor, and apt-get install apparmor.',
    };
  },
};

const timeKeepers = ['chronyd', 'systemd-timesyn', 'ntpd', 'openntpd', 'ptp4l', 'phc2sys'];

const timeSync: HostCheck = {
  name: 'time-sync',
  title: 'Time',
  why: 'Guests take their time from the host, and certificates and logs of several hosts need one time.',
  async look(look) {
    const keeper = await findProcess(look, timeKeepers);
    if (keeper === undefined) {
      return { verdict: 'warning', seen: 'Nothing keeps the clock right.', todo: 'apt-get install chrony' };
    }
    if (keeper.name === 'systemd-timesyn' && !(await look.exists('/run/systemd/timesync/synchronized'))) {
      return {
        verdict: 'warning',
        seen: 'systemd-timesyncd runs, and has not reached a server yet.',
        todo: 'Name servers that can be reached in /etc/systemd/timesyncd.conf.',
      };
    }
    return { verdict: 'ok', seen: `${keeper.name} keeps the clock right.` };
  },
};

const hostName: HostCheck = {
  name: 'host-name',
  title: 'The host’s own name',
  why: 'libvirt looks it up for each migration, and waits about 10 s when nothing answers, as was measured.',
  async look(look) {
    const name = (await look.read('/proc/sys/kernel/hostname')) ?? 'localhost';
    const found = await look.run('getent', ['hosts', name]);
    if (found) return { verdict: 'ok', seen: `${name} is ${found.split(/\s+/)[0]}.` };
    return {
      verdict: 'warning',
      seen: `${name} has no address.`,
      todo: `Add the line “127.0.1.1 ${name}” to /etc/hosts, or the host to your DNS.`,
    };
  },
};

export const systemChecks: readonly HostCheck[] = [cgroups, openFiles, lockedMemory, confinement, timeSync, hostName];
