// What this host can give a machine beyond virtio and BIOS: asked of libvirt, which looks for firmware and swtpm each time,
// so that what was installed meanwhile counts. Owns nothing.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type HostFeature, hostIncapable, neededFeatures } from '@virga/contract/agent/host-features';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { AgentContext } from '../agent-context.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import { hostArchitecture } from './architecture.ts';
import { cpuLimitFeatures } from './cpu-weights.ts';
import { hugePageFeatures } from './huge-pages.ts';

export async function hostFeatures({ node }: Connection): Promise<HostFeature[]> {
  const arch = hostArchitecture();
  const choice = { arch, machine: arch === 'x86_64' ? 'q35' : 'virt', virtType: 'qemu' };
  const capabilities = parseXml(await node.domainCapabilities(choice));
  const os = childAt(capabilities, 'os');
  const tpm = childAt(capabilities, 'devices', 'tpm');
  const hasUefi = valuesOf(os, 'firmware').includes('efi');
  const emulatesTpm = valuesOf(tpm, 'backendModel').includes('emulator');
  return [
    ...(hasUefi ? (['uefi'] as const) : []),
    ...(hasUefi && valuesOf(childAt(os, 'loader'), 'secure').includes('yes') ? (['uefi-secure'] as const) : []),
    ...(emulatesTpm && valuesOf(tpm, 'backendVersion').includes('2.0') ? (['tpm'] as const) : []),
    ...(arch === 'x86_64' ? (['emulated', 'legacy'] as const) : []),
  ];
}

/** @throws HostIncapable this host cannot give such a machine */
export async function requireFeatures({ hypervisor, system }: AgentContext, desired: DesiredInstance): Promise<void> {
  const needed = neededFeatures(desired);
  if (needed.length === 0) return;
  const [machines, pages, limits] = await Promise.all([
    hypervisor.ask('look at what the host can do', hostFeatures),
    hugePageFeatures(system),
    cpuLimitFeatures(system),
  ]);
  const there = [...machines, ...pages, ...limits];
  const missing = needed.find((feature) => !there.includes(feature));
  if (missing !== undefined) throw hostIncapable('The host', missing);
}

const valuesOf = (parent: XmlElement | undefined, name: string): string[] =>
  childrenOf(parent, 'enum')
    .filter(({ attributes }) => attributes.name === name)
    .flatMap((list) => childrenOf(list, 'value').map(({ text }) => text));
