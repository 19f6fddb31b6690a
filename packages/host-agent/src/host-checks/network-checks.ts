// What the kernel has for the networks of guests. Devices are tried out in a network namespace of their own, which ends with
// the try: which of them a kernel has built in stands nowhere.
import type { HostCheck } from './host-check.ts';
import { moduleState } from './kernel-modules.ts';

const inOwnNamespace = (...command: string[]): [string, string[]] => ['unshare', ['--net', ...command]];

const bridge: HostCheck = {
  name: 'bridge',
  title: 'Bridges',
  why: 'Guests of a network are joined by a bridge.',
  async look(look) {
    const made = await look.run(...inOwnNamespace('ip', 'link', 'add', 'name', 'probe', 'type', 'bridge'));
    if (made !== undefined) return { verdict: 'ok', seen: 'The kernel makes bridges.' };
    const state = await moduleState(look, 'bridge');
    if (state === 'loadable') {
      return {
        verdict: 'failure',
        seen: 'The kernel has a module for bridges, and made none.',
        todo: 'modprobe bridge',
      };
    }
    return {
      verdict: 'failure',
      seen: 'The kernel makes no bridges.',
      todo: 'Start a kernel of your distribution, and have iproute2 installed.',
    };
  },
};

const tap: HostCheck = {
  name: 'tap',
  title: 'Network cards of guests (tap)',
  why: 'The other end of a guest’s network card is a tap device.',
  async look(look) {
    if (!(await look.exists('/dev/net/tun'))) {
      return { verdict: 'failure', seen: 'There is no /dev/net/tun.', todo: 'modprobe tun' };
    }
    const made = await look.run(...inOwnNamespace('ip', 'tuntap', 'add', 'dev', 'probe', 'mode', 'tap'));
    return made === undefined
      ? {
          verdict: 'failure',
          seen: '/dev/net/tun is there, and makes no device.',
          todo: 'See dmesg, and who may open it.',
        }
      : { verdict: 'ok', seen: 'The kernel makes them.' };
  },
};

const vhostNet: HostCheck = {
  name: 'vhost-net',
  title: 'Network cards in the kernel (vhost_net)',
  why: 'Without it each packet of a guest takes the way through QEMU, which costs processor time and latency.',
  repairs: 'it is loaded at each start, by /etc/modules-load.d',
  async look(look) {
    if (await look.exists('/dev/vhost-net')) return { verdict: 'ok', seen: '/dev/vhost-net is there.' };
    if ((await moduleState(look, 'vhost_net')) !== 'loadable') {
      return {
        verdict: 'warning',
        seen: 'The kernel does not have it.',
        todo: 'Start a kernel of your distribution, which has it.',
      };
    }
    const path = '/etc/modules-load.d/virga-vhost-net.conf';
    return {
      verdict: 'warning',
      seen: 'Its module is not loaded.',
      settings: [
        { setting: { kind: 'file', path, content: 'vhost_net\n' }, why: 'It is loaded when the host starts.' },
      ],
      todo: 'modprobe vhost_net loads it now.',
    };
  },
};

const openvswitch: HostCheck = {
  name: 'openvswitch',
  title: 'Open vSwitch in the kernel',
  why: 'Virtual networks over several hosts are switched in the kernel with it, and by a program without.',
  async look(look) {
    const state = await moduleState(look, 'openvswitch');
    if (state === 'missing') {
      return {
        verdict: 'advice',
        seen: 'The kernel does not have it; Open vSwitch switches in its own process here.',
        todo: 'Start a kernel of your distribution, when networks are to span hosts.',
      };
    }
    return {
      verdict: 'ok',
      seen: state === 'loadable' ? 'Its module is there, and is loaded when needed.' : 'The kernel has it.',
    };
  },
};

export const networkChecks: readonly HostCheck[] = [bridge, tap, vhostNet, openvswitch];
