// Kinds of host that this machine is not, as their kernels show them: a folder with the files of sysfs and procfs, and what
// their programs answer. For tests only.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type HostSystem, hostSystemAt } from '../../host-system/host-system.ts';

export type FakeDisk = {
  name: string;
  /** Files below its folder in /sys/block. */
  files?: Record<string, string>;
  /** host:channel:target:lun; makes it a disk on SCSI with this cache type. */
  scsi?: { address: string; cacheType: string; driver: string };
  partitions?: string[];
  /** Of md, dm and the like. */
  slaves?: string[];
};

export class FakeHost {
  readonly root = mkdtempSync(join(tmpdir(), 'virga-fake-host-'));
  /** Every program that was run, with its arguments. */
  readonly ran: string[] = [];
  private readonly answers = new Map<string, string>();
  private devices = 0;

  constructor(t: Pick<TestContext, 'after'>) {
    t.after(() => rmSync(this.root, { recursive: true }));
  }

  get system(): HostSystem {
    return hostSystemAt(this.root, async (program, args) => {
      const line = [program, ...args].join(' ');
      this.ran.push(line);
      const answer = this.answers.get(line);
      if (answer === undefined) throw new Error(`${line} ended with code 1`);
      return answer;
    });
  }

  put(path: string, text: string): void {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${text}\n`);
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    symlinkSync(target, join(this.root, path));
  }

  /** A program is installed, and answers this. */
  program(path: string, args: string, answer: string): void {
    this.put(path, '');
    this.answers.set(`${path} ${args}`, answer);
  }

  disk({ name, files = {}, scsi, partitions = [], slaves = [] }: FakeDisk): void {
    const folder = `sys/block/${name}`;
    this.put(`${folder}/dev`, `259:${this.devices++}`);
    this.put(`${folder}/size`, '1953525168');
    for (const [file, text] of Object.entries(files)) this.put(`${folder}/${file}`, text);
    for (const part of partitions) this.put(`${folder}/${part}/dev`, `259:${this.devices++}`);
    for (const slave of slaves) this.put(`${folder}/slaves/${slave}/dev`, '');
    if (scsi === undefined) return;
    this.put(`${folder}/device/scsi_disk/${scsi.address}/cache_type`, scsi.cacheType);
    this.put(`sys/class/scsi_disk/${scsi.address}/cache_type`, scsi.cacheType);
    this.put(`sys/class/scsi_host/host${scsi.address.split(':')[0]}/proc_name`, scsi.driver);
  }

  /** Lines of /proc/self/mountinfo: number of the device, mount point, file system, source. */
  mounts(...mounts: [string, string, string, string][]): void {
    const line = ([number, point, fileSystem, source]: (typeof mounts)[number], index: number) =>
      `${30 + index} 1 ${number} / ${point} rw,relatime shared:1 - ${fileSystem} ${source} rw`;
    this.put('proc/self/mountinfo', mounts.map(line).join('\n'));
  }
}

const queue = (scheduler: string, rotational: '0' | '1', writeCache: 'write back' | 'write through') => ({
  'queue/scheduler': scheduler,
  'queue/rotational': rotational,
  'queue/write_cache': writeCache,
});

export const nvmeConsumer: FakeDisk = {
  name: 'nvme0n1',
  files: {
    ...queue('[none] mq-deadline kyber bfq', '0', 'write back'),
    wwid: 'eui.0025385b71b0a1f2',
    'device/model': 'Samsung SSD 980 PRO 1TB                 ',
  },
  partitions: ['nvme0n1p1', 'nvme0n1p2', 'nvme0n1p3'],
};

export const nvmeEnterprise: FakeDisk = {
  name: 'nvme1n1',
  files: {
    ...queue('[none] mq-deadline', '0', 'write through'),
    wwid: 'eui.01000000000000005cd2e4b1c0a25551',
    'device/model': 'INTEL SSDPE2KX020T8                     ',
  },
};

export const sataSsd = (name: string): FakeDisk => ({
  name,
  files: {
    ...queue('none [mq-deadline] bfq', '0', 'write back'),
    'device/vendor': 'ATA     ',
    'device/model': 'Samsung SSD 860 ',
    'device/wwid': `naa.5002538e4000000${name.charCodeAt(2) % 10}`,
  },
  scsi: { address: `${name.charCodeAt(2) - 97}:0:0:0`, cacheType: 'write back', driver: 'ahci' },
  partitions: [`${name}1`, `${name}2`],
});

/** A logical drive of spinning disks. */
export const megaRaid = (name = 'sda', target = 0): FakeDisk => ({
  name,
  files: {
    ...queue('[mq-deadline] none', '1', 'write through'),
    'device/vendor': 'AVAGO   ',
    'device/model': 'MR9361-8i       ',
    'device/wwid': `naa.600605b000000000000000000000abc${target}`,
  },
  scsi: { address: `0:2:${target}:0`, cacheType: 'write through', driver: 'megaraid_sas' },
  partitions: [`${name}1`],
});

export const smartArray = (name: string, host: number): FakeDisk => ({
  name,
  files: {
    ...queue('[mq-deadline] none', '1', 'write through'),
    'device/vendor': 'HP      ',
    'device/model': 'LOGICAL VOLUME  ',
  },
  scsi: { address: `${host}:1:0:0`, cacheType: 'write through', driver: 'hpsa' },
});

/** What a guest of another cloud has. */
export const virtioDisk: FakeDisk = {
  name: 'vda',
  files: { ...queue('[none] mq-deadline', '1', 'write back'), serial: 'vol0123456789abcdef0' },
  partitions: ['vda1'],
};

/** A kernel before 5.0 with a spinning disk. */
export const oldRotating: FakeDisk = {
  name: 'sdz',
  files: { ...queue('noop deadline [cfq]', '1', 'write back'), 'device/vendor': 'ATA', 'device/model': 'ST4000VN008' },
  scsi: { address: '9:0:0:0', cacheType: 'write back', driver: 'ahci' },
};
