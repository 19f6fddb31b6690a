// A domain that somebody has made with virsh, without a disk: it runs, and boots nothing.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { virsh } from '../libvirt-cloud.ts';

const xmlOf = (name: string) =>
  `<domain type='qemu'><name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type></os><devices/></domain>`;

/** One that is nobody's and runs, made when there is none. @returns its name */
export async function foreignDomain(): Promise<string> {
  const names = (await virsh('list', '--all', '--name')).split('\n');
  const found = names.find((name) => name.startsWith('foreign-') && !name.includes('.'));
  const name = found ?? `foreign-${randomBytes(4).toString('hex')}`;
  if (found === undefined) {
    const path = `/tmp/${name}.xml`;
    writeFileSync(path, xmlOf(name));
    await virsh('define', path);
  }
  if ((await virsh('domstate', name)).trim() !== 'running') await virsh('start', name);
  return name;
}
