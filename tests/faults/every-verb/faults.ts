// The faults: the server, libvirtd or QEMU is killed, or the storage fills up, while the host agent is about to take a step.
import { readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { until } from '@virga/testing/until';
import type { LibvirtCloud } from '../libvirt-cloud.ts';
import type { Fault } from './fault-run.ts';

export const serverKilled: Fault = {
  name: 'server killed',
  endsServer: true,
  async strike({ cloud }) {
    await cloud.kill();
    return true;
  },
  heal: ({ cloud }) => cloud.start(),
};

export const libvirtdKilled: Fault = {
  name: 'libvirtd killed',
  async strike({ hypervisor }) {
    await hypervisor.kill();
    return true;
  },
  heal: ({ hypervisor }) => hypervisor.start(),
};

export const qemuKilled: Fault = {
  name: 'QEMU killed',
  takesMemory: true,
  async strike(_setting, { domainName }) {
    const pid = qemuOf(domainName);
    if (pid === undefined) return false;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      return false; // it had ended already
    }
    // libvirt removes the file once it knows.
    await until('libvirt has seen it', () => qemuOf(domainName) !== pid);
    return true;
  },
  heal: async () => {},
};

const longEnoughMs = 2_000;
/** For a few guests. */
const enoughBytes = 32 * 1024 ** 2;
const ballast = ({ folder }: LibvirtCloud) => join(folder, 'storage', 'ballast');

export const storageFull: Fault = {
  name: 'storage full',
  async strike(setting) {
    const { bavail, bsize } = statfsSync(join(setting.folder, 'storage'));
    try {
      writeFileSync(ballast(setting), Buffer.alloc(bavail * bsize));
    } catch (error) {
      // Somebody took the last of it meanwhile: it is full.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
    return true;
  },
  async heal(setting, ended) {
    // Either it was done all the same, or it failed; what is tried again and again meets it for long enough.
    await Promise.race([ended, setTimeout(longEnoughMs)]);
    rmSync(ballast(setting), { force: true });
    const { client } = setting.cloud;
    await until('the host is known to have room', async () => {
      const [host] = (await client.listHosts({ query: {} })).items;
      return (host?.facts?.storageFreeBytes ?? 0) > enoughBytes;
    });
  },
};

function qemuOf(domainName: string): number | undefined {
  try {
    return Number(readFileSync(`/run/libvirt/qemu/${domainName}.pid`, 'utf8'));
  } catch {
    return undefined;
  }
}
