// As whom guests' QEMU processes run, as libvirt says. Asked when files are handed to them; owns nothing.
import type { Hypervisor } from '../hypervisor.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';

export type GuestOwner = { uid: number; gid: number };

/** User and group of guests' processes; root where libvirt does not change to another user. */
export async function guestOwner(hypervisor: Hypervisor): Promise<GuestOwner> {
  const xml = await hypervisor.ask('look at the host', ({ node }) => node.capabilities());
  const models = childrenOf(childAt(parseXml(xml), 'host'), 'secmodel');
  const dac = models.find((model) => childAt(model, 'model')?.text === 'dac');
  const labels = childrenOf(dac, 'baselabel').map(({ text }) => /^\+(\d+):\+(\d+)$/.exec(text));
  const [, uid = 0, gid = 0] = labels.find((label) => label !== null) ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

/** The same where it is somebody else than us, who must be given files; undefined where guests run as we do. */
export async function otherOwner(hypervisor: Hypervisor): Promise<GuestOwner | undefined> {
  return process.getuid?.() === 0 ? guestOwner(hypervisor) : undefined;
}
