// The peer of `virga launch --wait=ssh`: virt-install of the same image, with a linked clone and a NoCloud seed, on a NAT
// network of libvirt that gives it a known address.
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitForSsh } from '@virga/cli/ssh/wait-for-ssh';
import type { Connection } from '@virga/libvirt/connection/connect';
import { command, run } from './cloud.ts';

const mac = '52:54:00:be:0c:02';
const address = '198.18.200.10';
const networkXml = `<network><name>bench-peer</name><forward mode='nat'/><bridge name='virbench'/>
  <ip address='198.18.200.1' netmask='255.255.255.0'>
    <dhcp><range start='198.18.200.100' end='198.18.200.200'/><host mac='${mac}' ip='${address}'/></dhcp>
  </ip></network>`;

export type Machine = { vcpus: number; memoryMib: number; diskBytes: number; acceleration: string };

export class VirtInstall {
  private readonly connection: Connection;
  private readonly folder: string;
  private readonly image: string;
  private readonly publicKey: string;

  private constructor(connection: Connection, folder: string, image: string, publicKey: string) {
    this.connection = connection;
    this.folder = folder;
    this.image = image;
    this.publicKey = publicKey;
  }

  static async prepare(connection: Connection, folder: string, image: string): Promise<VirtInstall> {
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    command('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key'));
    const publicKey = command('cat', join(folder, 'key.pub')).trim();
    await connection.networks.createXml(networkXml);
    // Where QEMU can reach it, which runs as a user of its own; virga has made its own copy as well.
    const copy = join(folder, 'image.qcow2');
    copyFileSync(image, copy);
    return new VirtInstall(connection, folder, copy, publicKey);
  }

  /** From nothing to the greeting of the SSH server. */
  async launch(name: string, { vcpus, memoryMib, diskBytes, acceleration }: Machine): Promise<void> {
    const seed = join(this.folder, 'seed');
    const disk = join(this.folder, `${name}.qcow2`);
    rmSync(seed, { recursive: true, force: true });
    mkdirSync(seed);
    writeFileSync(join(seed, 'meta-data'), `instance-id: ${name}\nlocal-hostname: ${name}\n`);
    writeFileSync(join(seed, 'user-data'), `#cloud-config\nssh_authorized_keys:\n  - ${this.publicKey}\n`);
    const iso = join(this.folder, `${name}.iso`);
    await run('genisoimage', '-quiet', '-volid', 'cidata', '-joliet', '-rock', '-output', iso, seed);
    const size = `size=${diskBytes / 2 ** 30}`;
    await run(
      'virt-install',
      ...['--connect', 'qemu:///system', '--name', name, '--import', '--noautoconsole'],
      ...['--virt-type', acceleration === 'kvm' ? 'kvm' : 'qemu', '--osinfo', 'linux2022'],
      ...['--vcpus', `${vcpus}`, '--memory', `${memoryMib}`],
      ...(acceleration === 'kvm' ? [] : ['--cpu', 'mode=maximum']),
      ...['--disk', `path=${disk},${size},format=qcow2,backing_store=${this.image},backing_format=qcow2,bus=virtio`],
      ...['--disk', `path=${iso},device=disk,bus=virtio,readonly=on,format=raw`],
      ...['--network', `network=bench-peer,model=virtio,mac=${mac}`, '--graphics', 'vnc', '--rng', '/dev/urandom'],
    );
    await waitForSsh({ instanceName: name, address, port: 22 }, 300_000, AbortSignal.timeout(310_000));
  }

  async remove(name: string): Promise<void> {
    const domain = await this.connection.domains.lookupByName(name);
    await this.connection.domains.destroy(domain);
    await this.connection.domains.undefine(domain);
    rmSync(join(this.folder, `${name}.qcow2`));
  }
}
