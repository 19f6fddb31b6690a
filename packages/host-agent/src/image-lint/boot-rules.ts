// How a copy starts, and what its disk does then: swap, console, the root that grows, blocks that are given back.
import type { DiskContents } from '../disk-contents/disk-contents.ts';
import type { GuestFiles } from './guest-files.ts';
import { fine, naming, pathsOf, type Rule, rewrite } from './rule.ts';

const isSwapLine = (line: string): boolean => !line.trim().startsWith('#') && line.trim().split(/\s+/)[2] === 'swap';

const swap: Rule = {
  id: 'swap',
  title: 'swap',
  why: 'Swap makes the disk of every copy grow, and the host cannot tell what a guest needs. Give it the memory instead.',
  async look(guest) {
    const fstab = (await guest.text('/etc/fstab')) ?? '';
    const lines = fstab.split('\n').filter(isSwapLine);
    const units = (await guest.named('/etc/systemd/system', /\.swap$/)).filter(({ kind }) => kind === 'file');
    const files: string[] = [];
    for (const path of [
      '/swapfile',
      '/swap.img',
      '/swap/swapfile',
      ...lines.map((line) => line.trim().split(/\s+/)[0] ?? ''),
    ]) {
      const isFile =
        path.startsWith('/') && !path.startsWith('/dev/') && (await guest.root.linkStat(path))?.kind === 'file';
      if (isFile && !files.includes(path)) files.push(path);
    }
    const parts = guest.layout.parts.filter(({ fileSystem }) => fileSystem === 'swap');
    const seen = [
      ...lines.map((line) => `/etc/fstab has: ${line.trim().replace(/\s+/g, ' ')}.`),
      ...(files.length > 0 ? [`There is ${naming(files)}.`] : []),
      ...(units.length > 0 ? [`There is ${naming(pathsOf(units))}.`] : []),
      ...parts.map(({ number }) => `Partition ${number} is for swap.`),
    ];
    if (seen.length === 0) return fine('No swap in /etc/fstab, no file and no partition for it.');
    const canAct = lines.length + files.length + units.length > 0;
    return {
      verdict: canAct ? 'warning' : 'advice',
      seen: seen.join(' '),
      ...(canAct && {
        repair: {
          says: `Takes it out of /etc/fstab and removes its files${parts.length > 0 ? '; the partition stays, unused' : ''}.`,
          async act() {
            const kept = fstab.split('\n').map((line) => (isSwapLine(line) ? `# ${line}` : line));
            if (lines.length > 0) await rewrite(guest.root, '/etc/fstab', kept.join('\n'));
            for (const path of [...files, ...pathsOf(units)]) await guest.root.remove(path);
            return 'Turned swap off.';
          },
        },
      }),
    };
  },
};

const consoleArgument = 'console=ttyS0,115200';
const hasConsole = (text: string): boolean => /\bconsole=ttyS0\b/.test(text);
const kernelLine = /^(\s*(?:linux(?:16|efi)?|options|append|APPEND)\s.*)$/gm;

/** Where the boot loader reads the command line of the kernel. */
async function loaderFiles(guest: GuestFiles): Promise<{ contents: DiskContents; path: string; text: string }[]> {
  const { boot, bootPath } = guest;
  const paths = [
    `${bootPath}/grub/grub.cfg`,
    `${bootPath}/grub2/grub.cfg`,
    `${bootPath}/extlinux.conf`,
    `${bootPath}/extlinux/extlinux.conf`,
  ];
  for (const { name } of await boot.list(`${bootPath}/loader/entries`)) {
    if (name.endsWith('.conf')) paths.push(`${bootPath}/loader/entries/${name}`);
  }
  const found: { contents: DiskContents; path: string; text: string }[] = [];
  for (const path of paths) {
    const text = await guest.text(path, boot);
    if (text?.match(kernelLine)) found.push({ contents: boot, path, text });
  }
  return found;
}

async function hasSerialGetty(guest: GuestFiles): Promise<string | undefined> {
  if (await guest.isEnabled('serial-getty@ttyS0.service')) return 'serial-getty@ttyS0 is enabled';
  const inittab = (await guest.lines('/etc/inittab')).find((line) => /ttyS0/.test(line));
  return inittab === undefined ? undefined : `/etc/inittab has: ${inittab}`;
}

const serialConsole: Rule = {
  id: 'serial-console',
  title: 'serial console',
  why: 'Without it `virga log` and `virga console` show nothing of a machine that does not come up.',
  async look(guest) {
    const files = await loaderFiles(guest);
    const silent = files.filter(({ text }) => !hasConsole(text));
    const getty = await hasSerialGetty(guest);
    const isSystemd = await guest.hasSystemd();
    // systemd starts a getty on the console of the kernel by itself.
    const asked = getty ?? (isSystemd && files.length > 0 && silent.length === 0 ? 'systemd serves it' : undefined);
    const unread = `No boot loader's list of kernels was found${getty ? `; ${getty}` : ''}.`;
    if (files.length === 0) return { verdict: getty ? 'ok' : 'advice', seen: unread };
    if (silent.length === 0 && asked)
      return fine(`console=ttyS0 is in ${naming(files.map(({ path }) => path))}, and ${asked}.`);
    const serving = await guest.unit('serial-getty@.service');
    return {
      verdict: 'warning',
      seen: [
        ...(silent.length > 0 ? [`${naming(silent.map(({ path }) => path))} does not name console=ttyS0.`] : []),
        ...(getty || silent.length > 0 ? [] : ['Nothing lets people log in there.']),
      ].join(' '),
      repair: {
        says: `Adds ${consoleArgument} to the command line of the kernel, and a login there.`,
        async act() {
          for (const { contents, path, text } of silent) {
            await rewrite(contents, path, text.replace(kernelLine, `$1 ${consoleArgument}`));
          }
          await addToDefaults(guest);
          const enabled = '/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service';
          if (!getty && serving) await guest.root.link(enabled, serving);
          const inittab = await guest.text('/etc/inittab');
          if (!getty && !isSystemd && inittab !== undefined) {
            const login = 'ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n';
            await rewrite(guest.root, '/etc/inittab', `${inittab.replace(/\n?$/, '\n')}${login}`);
          }
          return `Added ${consoleArgument} to the command line of the kernel.`;
        },
      },
    };
  },
};

/** What the next update-grub makes the list of kernels from. */
async function addToDefaults(guest: GuestFiles): Promise<void> {
  const path = '/etc/default/grub';
  const text = await guest.text(path);
  if (text === undefined || hasConsole(text)) return;
  const line = /^(GRUB_CMDLINE_LINUX="?)([^"\n]*)("?)$/m;
  const changed = line.test(text)
    ? text.replace(line, (_, before, value, after) => `${before}${`${value} ${consoleArgument}`.trim()}${after}`)
    : `${text}GRUB_CMDLINE_LINUX="${consoleArgument}"\n`;
  await rewrite(guest.root, path, changed);
}

const growRoot: Rule = {
  id: 'growroot',
  title: 'a root that grows',
  why: 'The disk of an instance may be larger than the image; without this the rest of it is not used.',
  async look(guest) {
    const ofDracut = await guest.named('/usr/lib/dracut/modules.d', /^\d\d(growroot|kiwi-repart)$/);
    const ofRepart = [
      ...(await guest.named('/etc/repart.d', /\.conf$/)),
      ...(await guest.named('/usr/lib/repart.d', /\.conf$/)),
    ];
    const grower =
      [...ofDracut, ...ofRepart][0]?.path ??
      (await guest.firstOf([
        '/usr/share/initramfs-tools/scripts/local-bottom/growroot',
        '/usr/libexec/virga/grow-root',
      ]));
    if (grower !== undefined) return fine(`${grower} grows it.`);
    const growpart = await guest.firstOf(['/usr/bin/growpart', '/usr/sbin/growpart']);
    const cloudInit = await guest.firstOf(['/usr/bin/cloud-init', '/usr/sbin/cloud-init']);
    if (growpart && cloudInit) return fine(`${cloudInit} grows it, with ${growpart}.`);
    if ((await guest.lines('/etc/fstab')).some((line) => /x-systemd\.growfs/.test(line)))
      return fine('/etc/fstab has x-systemd.growfs.');
    return {
      verdict: 'warning',
      seen: 'Nothing grows it: there is neither growpart with cloud-init nor cloud-initramfs-growroot nor x-systemd.growfs.',
    };
  },
};

const timer = 'fstrim.timer';

const trim: Rule = {
  id: 'trim',
  title: 'TRIM',
  why: 'Blocks that a guest no longer uses are given back to the storage only when it says so.',
  async look(guest) {
    const rootLine = (await guest.lines('/etc/fstab')).find((line) => line.split(/\s+/)[1] === '/');
    if (
      rootLine
        ?.split(/\s+/)[3]
        ?.split(',')
        .some((option) => /^discard(=async)?$/.test(option))
    )
      return fine('/etc/fstab mounts the root with discard.');
    if (await guest.isEnabled(timer)) return fine(`${timer} is enabled.`);
    const unit = await guest.unit(timer);
    return {
      verdict: 'advice',
      seen: `/etc/fstab does not mount the root with discard, and ${timer} is ${unit ? 'not enabled' : 'not there'}.`,
      ...(unit && {
        repair: {
          says: `Enables ${timer}, which does it once a week.`,
          async act() {
            await guest.root.link(`/etc/systemd/system/timers.target.wants/${timer}`, unit);
            return `Enabled ${timer}.`;
          },
        },
      }),
    };
  },
};

export const bootRules: readonly Rule[] = [swap, serialConsole, growRoot, trim];
