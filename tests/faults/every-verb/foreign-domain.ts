// A domain that somebody has made with virsh, without a disk: it runs, and boots nothing.
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { virsh } from '../libvirt-cloud.ts';

const xmlOf = (name: string) =>
  `<domain type='qemu'><name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type></os><devices/></domain>`;

/** Those that are there, also as somebody's instances. @returns their names */
export async function foreignDomains(): Promise<string[]> {
  return (await virsh('list', '--all', '--name')).split('\n').filter((name) => name.startsWith('foreign-'));
}

/** One that runs, made when there is none. @returns its name */
export async function foreignDomain(): Promise<string> {
  const [found] = await foreignDomains();
  const name = found ?? `foreign-${randomBytes(4).toString('hex')}`;
  if (found === undefined) {
    const path = `/tmp/${name}.xml`;
    writeFileSync(path, xmlOf(name));
    await virsh('define', path);
    rmSync(path);
  }
  if ((await virsh('domstate', name)).trim() !== 'running') await virsh('start', name);
  return name;
}

export async function removeForeignDomains(): Promise<void> {
  for (const name of await foreignDomains()) {
    if ((await virsh('domstate', name)).trim() === 'running') await virsh('destroy', name);
    await virsh('undefine', name);
  }
}
