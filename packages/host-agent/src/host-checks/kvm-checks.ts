// KVM itself: that it is there, that QEMU may use it, and that Linux boots under it.
import type { WantedSetting } from '@virga/contract/agent/host-changes';
import type { HostCheck } from './host-check.ts';

const device: HostCheck = {
  name: 'kvm-device',
  title: 'KVM device',
  why: 'It is how QEMU reaches KVM; without it guests are emulated.',
  async look(look, { arch }) {
    if (await look.exists('/dev/kvm')) return { verdict: 'ok', seen: '/dev/kvm is there.' };
    return {
      verdict: 'failure',
      seen: 'There is no /dev/kvm.',
      todo:
        arch === 'aarch64'
          ? 'Start a kernel with KVM at EL2.'
          : 'Load KVM: modprobe kvm_intel, or modprobe kvm_amd; when that fails, see hardware-virtualization.',
    };
  },
};

/** The bits of the owner's group: reading and writing. */
const groupAccess = 0o060;

export const kvmPermissions: HostCheck = {
  name: 'kvm-permissions',
  title: 'Permissions of the KVM device',
  why:
    'Where QEMU’s user may not open /dev/kvm, libvirt asks QEMU for all it can do again at every start of a guest: about 4 s, ' +
    'as was measured.',
  repairs: 'group and mode of /dev/kvm, and a rule of udev where that runs',
  async look(look) {
    const access = await look.system.access('/dev/kvm');
    if (access === undefined) return { verdict: 'not-applicable', seen: 'There is no /dev/kvm.' };
    const isKvm = /^kvm:[^:]*:(\d+):/m;
    const group = isKvm.exec((await look.read('/etc/group', (text) => isKvm.exec(text)?.[0] ?? 'no kvm')) ?? '')?.[1];
    const mode = access.mode.toString(8).padStart(4, '0');
    look.note('/dev/kvm', `mode ${mode}, user ${access.uid}, group ${access.gid}`);
    if (group === undefined) {
      return {
        verdict: 'warning',
        seen: `There is no group kvm that /dev/kvm could belong to; its mode is ${mode}.`,
        todo: 'Install QEMU from your distribution, which makes the group: apt-get install qemu-system.',
      };
    }
    const gid = Number(group);
    if (access.gid === gid && (access.mode & groupAccess) === groupAccess) {
      return { verdict: 'ok', seen: `The group kvm may use it: mode ${mode}.` };
    }
    const whose = access.gid === gid ? 'the group kvm' : `group ${access.gid}, not to kvm (${gid})`;
    const hasUdev = await look.exists('/run/udev');
    return {
      verdict: 'failure',
      seen: `/dev/kvm belongs to ${whose}, with mode ${mode}.`,
      settings: [
        {
          setting: {
            kind: 'access',
            path: '/dev/kvm',
            access: { uid: access.uid, gid, mode: access.mode | 0o600 | groupAccess },
          },
          why: 'QEMU’s user is in the group kvm.',
        },
        ...(hasUdev ? [udevRule] : []),
      ],
      todo: hasUdev
        ? undefined
        : 'There is no udev here, which would keep it so: repair it again when the host has started anew.',
    };
  },
};

const udevRule: WantedSetting = {
  setting: {
    kind: 'file',
    path: '/etc/udev/rules.d/80-virga-kvm.rules',
    content: 'KERNEL=="kvm", GROUP="kvm", MODE="0660", OPTIONS+="static_node=kvm"\n',
  },
  why: 'So that it holds after the host has started anew.',
};

const boots: HostCheck = {
  name: 'kvm-boots',
  title: 'KVM boots a 64-bit Linux',
  why: 'A /dev/kvm that is there is not yet a KVM that works: some nested kinds run small programs and no Linux.',
  async look(look, { acceleration }) {
    const { mode, reason, proven } = await acceleration();
    look.note('boot of a kernel', reason);
    if (!proven) {
      return mode === 'kvm'
        ? { verdict: 'warning', seen: 'The host is set to KVM; whether it works was not tried.' }
        : { verdict: 'not-applicable', seen: 'The host is set to emulation, so KVM was not tried.' };
    }
    if (mode === 'kvm') return { verdict: 'ok', seen: reason };
    return {
      verdict: 'failure',
      seen: reason,
      todo: 'Guests are emulated, which is slow, until KVM works: see the other checks of this list that failed.',
    };
  },
};

export const kvmChecks: readonly HostCheck[] = [device, kvmPermissions, boots];
