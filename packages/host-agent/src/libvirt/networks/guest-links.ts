// Puts the cards of running guests back on the bridge of a network that was stopped and started: libvirt does so itself
// only when libvirtd starts. Owns nothing; a guest that goes away meanwhile is no error.
import { readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { DesiredNetwork } from '@virga/contract/agent/desired';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { runCommand } from '../../run-command.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';

export async function attachGuests(
  connection: Connection,
  { name, bridge }: Pick<DesiredNetwork, 'name' | 'bridge'>,
): Promise<void> {
  const domains = await connection.domains.list({ active: true });
  const devices = await Promise.all(domains.map((domain) => devicesOn(connection, domain, name)));
  for (const device of devices.flat()) {
    const master = await readlink(`/sys/class/net/${device}/master`).catch(() => '');
    if (basename(master) === bridge) continue;
    await runCommand('ip', ['link', 'set', 'dev', device, 'master', bridge], { package: 'iproute2' });
  }
}

/** The host's ends of a domain's cards on a network. */
async function devicesOn({ domains }: Connection, domain: DomainRef, network: string): Promise<string[]> {
  try {
    const cards = childrenOf(childAt(parseXml(await domains.xml(domain)), 'devices'), 'interface');
    return cards
      .filter((card) => childAt(card, 'source')?.attributes.network === network)
      .flatMap((card) => childAt(card, 'target')?.attributes.dev ?? []);
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN')) return [];
    throw error;
  }
}
