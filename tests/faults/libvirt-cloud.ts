// A cloud on a libvirtd of its own, which a test may kill and restart, with a guest that boots in no time.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { CloudUnderFault } from './cloud-under-fault.ts';
import { openFaultCluster } from './fault-cluster.ts';
import { Ledger } from './ledger.ts';
import { prepareCloud } from './prepare-cloud.ts';

const run = promisify(execFile);

export type LibvirtCloud = {
  folder: string;
  hypervisor: Hypervisor;
  cloud: CloudUnderFault;
  ledger: Ledger;
  /** What the ledger launches. */
  spec: Omit<LaunchInstance, 'name'>;
  close(): Promise<void>;
};

/** @param storageMib puts the storage on a file system of that size, which can be filled */
export async function openLibvirtCloud({ storageMib }: { storageMib?: number } = {}): Promise<LibvirtCloud> {
  await using opened = new AsyncDisposableStack();
  const cluster = opened.adopt(await openFaultCluster(), (it) => it.close());
  const hypervisor = opened.adopt(await startHypervisor(), (it) => it.close());
  const { folder } = cluster;
  const storagePath = join(folder, 'storage');
  mkdirSync(storagePath, { mode: 0o711 });
  if (storageMib) {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${storageMib}m,mode=711`, 'tmpfs', storagePath]);
    opened.defer(() => run('umount', ['-l', storagePath]).then(() => undefined));
  }
  const host = { driver: 'libvirt' as const, storagePath };
  const options = { folder: join(folder, 'cloud'), cluster: cluster.config, host };
  const cloud = opened.adopt(await CloudUnderFault.create(options), (it) => it.close());
  await cloud.start();
  const imagePath = join(folder, 'guest.raw');
  writeFileSync(imagePath, tinyGuestDisk({ answersAcpi: true }));
  const spec = await prepareCloud(cloud, imagePath);
  const ledger = new Ledger(cloud, spec);
  const kept = opened.move();
  return { folder, hypervisor, cloud, ledger, spec, close: () => kept.disposeAsync() };
}

/** One more instance, running. */
export async function launchOne({ cloud, ledger }: LibvirtCloud): Promise<Instance> {
  await ledger.launch();
  await ledger.settle();
  const [entry] = ledger.living.slice(-1);
  return cloud.client.getInstance({ params: { id: entry!.id! } });
}

export async function virsh(...args: string[]): Promise<string> {
  return (await run('virsh', args)).stdout;
}
