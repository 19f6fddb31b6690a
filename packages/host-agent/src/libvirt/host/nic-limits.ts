// Whether this host's kernel can limit the rate of a guest's card. Tried out once on a tap device of our own with the very
// disciplines that libvirt uses, because which of them a kernel has stands nowhere. Nothing of it stays.
// @see libvirt, src/util/virnetdevbandwidth.c
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { runCommand } from '../../run-command.ts';

export class NicLimitsProbe {
  private readonly log: Logger;
  private answer: Promise<boolean> | undefined;

  constructor(log: Logger) {
    this.log = log;
  }

  /** Tries it when first asked; a kernel does not change while it runs. */
  canLimit(): Promise<boolean> {
    this.answer ??= this.tryOut();
    return this.answer;
  }

  private async tryOut(): Promise<boolean> {
    const device = `vprobe${randomBytes(4).toString('hex')}`;
    const tc = (...args: string[]) => runCommand('tc', args, { package: 'iproute2' });
    const ip = (...args: string[]) => runCommand('ip', args, { package: 'iproute2' });
    try {
      await ip('tuntap', 'add', 'dev', device, 'mode', 'tap');
      try {
        // What the guest receives.
        await tc('qdisc', 'add', 'dev', device, 'root', 'handle', '1:', 'htb', 'default', '1');
        await tc('class', 'add', 'dev', device, 'parent', '1:', 'classid', '1:1', 'htb', 'rate', '1000kbps');
        await tc('qdisc', 'add', 'dev', device, 'parent', '1:1', 'handle', '2:', 'sfq', 'perturb', '10');
        // What it sends.
        await tc('qdisc', 'add', 'dev', device, 'ingress');
        const match = ['parent', 'ffff:', 'protocol', 'all', 'u32', 'match', 'u32', '0', '0'];
        const police = ['police', 'rate', '1000kbps', 'burst', '1000kb', 'mtu', '64kb', 'drop', 'flowid', ':1'];
        await tc('filter', 'add', 'dev', device, ...match, ...police);
        return true;
      } finally {
        await ip('link', 'delete', 'dev', device);
      }
    } catch (error) {
      this.log.info({ err: error }, 'the rate of network interfaces cannot be limited on this host');
      return false;
    }
  }
}
