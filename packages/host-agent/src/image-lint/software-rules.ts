// What a guest of this cloud should have installed. None of it can be put in without starting the guest; the recipe or the
// package manager of the guest does that.
import { toolGroups } from '@virga/contract/agent/image-recipe';
import type { GuestFiles } from './guest-files.ts';
import { fine, type Look, naming, type Rule } from './rule.ts';

const agent: Rule = {
  id: 'guest-agent',
  title: 'guest agent',
  why: 'Without it the cloud can neither freeze the guest for a snapshot, nor run commands or set passwords in it.',
  async look(guest) {
    const program = await guest.firstOf(['/usr/sbin/qemu-ga', '/usr/bin/qemu-ga']);
    if (program === undefined) return { verdict: 'warning', seen: 'There is no qemu-ga: install qemu-guest-agent.' };
    const unit = 'qemu-guest-agent.service';
    const openRc = await ofOpenRc(guest);
    const served = openRc ?? (await guest.firstOf(['/usr/libexec/virga/serve-agent', script]));
    if (await guest.isMasked(unit)) return masked(guest, program, unit);
    const byUdev = await guest.firstOf(
      ['/usr/lib', '/lib'].flatMap((lib) => ['60', '99'].map((n) => `${lib}/udev/rules.d/${n}-qemu-guest-agent.rules`)),
    );
    if (openRc === false) return inNoRunlevel(guest, program);
    if (byUdev || served || (await guest.isEnabled(unit))) return fine(`${program} is there and is started.`);
    const there = await guest.unit(unit);
    return {
      verdict: 'warning',
      seen: `${program} is there, and nothing starts it.`,
      ...(there && {
        repair: {
          says: `Enables ${unit}.`,
          async act() {
            await guest.root.link(`/etc/systemd/system/multi-user.target.wants/${unit}`, there);
            return `Enabled ${unit}.`;
          },
        },
      }),
    };
  },
};

const script = '/etc/init.d/qemu-guest-agent';
const runlevels = '/etc/runlevels';

/** Undefined: the system has another kind of services, or none for the agent. */
async function ofOpenRc(guest: GuestFiles): Promise<boolean | undefined> {
  if (!(await guest.has(runlevels)) || !(await guest.has(script))) return undefined;
  const levels = await guest.named(runlevels, /./);
  const found = await Promise.all(levels.map(({ path }) => guest.root.linkStat(`${path}/qemu-guest-agent`)));
  return found.some((entry) => entry !== undefined);
}

const inNoRunlevel = (guest: GuestFiles, program: string): Look => ({
  verdict: 'warning',
  seen: `${program} is there, and qemu-guest-agent is in no runlevel.`,
  repair: {
    says: 'Adds it to the default runlevel.',
    async act() {
      await guest.root.link(`${runlevels}/default/qemu-guest-agent`, script);
      return 'Added qemu-guest-agent to the default runlevel.';
    },
  },
});

const masked = (guest: GuestFiles, program: string, unit: string): Look => ({
  verdict: 'warning',
  seen: `${program} is there, and ${unit} is masked.`,
  repair: {
    says: 'Takes the mask away.',
    async act() {
      await guest.root.remove(`/etc/systemd/system/${unit}`);
      return `Took away the mask of ${unit}.`;
    },
  },
});

const cloudInit: Rule = {
  id: 'cloud-init',
  title: 'cloud-init',
  why: 'Without it a copy gets neither its name, nor the keys of who may log in, nor its user data.',
  async look(guest) {
    const own = '/usr/libexec/virga/configure';
    if (await guest.has(own)) return fine(`${own} does its work.`);
    const program = await guest.firstOf(['/usr/bin/cloud-init', '/usr/sbin/cloud-init']);
    if (program === undefined) return { verdict: 'warning', seen: 'There is no cloud-init: install it.' };
    const disabled = '/etc/cloud/cloud-init.disabled';
    if (!(await guest.has(disabled))) return fine(`${program} is there, and is not turned off.`);
    return {
      verdict: 'warning',
      seen: `${program} is there, and ${disabled} turns it off.`,
      repair: {
        says: `Removes ${disabled}.`,
        async act() {
          await guest.root.remove(disabled);
          return `Removed ${disabled}.`;
        },
      },
    };
  },
};

/** The program that shows that a package of the basic tools is there. */
const programOf: Partial<Record<string, string>> = {
  'bash-completion': '/usr/share/bash-completion/bash_completion',
  lrzsz: '/usr/bin/rz',
  'net-tools': '/usr/sbin/ifconfig',
};

const tools: Rule = {
  id: 'basic-tools',
  title: 'basic tools',
  why: 'People look for them when something does not work.',
  async look(guest) {
    const missing: string[] = [];
    for (const name of toolGroups.basic) {
      const path = programOf[name] ?? `/usr/bin/${name}`;
      const places = [path, path.replace('/usr/', '/'), path.replace('/usr/sbin/', '/usr/bin/')];
      if ((await guest.firstOf(places)) === undefined) missing.push(name);
    }
    if (missing.length === 0) return fine(`All are there: ${toolGroups.basic.join(', ')}.`);
    return { verdict: 'advice', seen: `Missing: ${naming(missing)}. A recipe gets them with \`tools: [basic]\`.` };
  },
};

export const softwareRules: readonly Rule[] = [agent, cloudInit, tools];
