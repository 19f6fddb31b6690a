// Settings of network cards that are of one machine alone.
import type { Found, GuestFiles } from './guest-files.ts';
import { fine, naming, pathsOf, type Rule, removal, rewrite } from './rule.ts';

const persistentNames: Rule = {
  id: 'persistent-net-rules',
  title: 'names of network cards',
  why: 'A rule with the address of the old card gives the card of a copy another name, and it gets no network.',
  async look(guest) {
    const found = await guest.named('/etc/udev/rules.d', /persistent-net.*\.rules$/);
    const links: Found[] = [];
    for (const link of await guest.named('/etc/systemd/network', /\.link$/)) {
      if (/^\s*(Permanent)?MACAddress\s*=/m.test((await guest.text(link.path)) ?? '')) links.push(link);
    }
    const paths = pathsOf([...found, ...links]);
    if (paths.length === 0)
      return fine('There is no rule in /etc/udev/rules.d or /etc/systemd/network that names a card.');
    return { verdict: 'warning', seen: `There is ${naming(paths)}.`, repair: removal(guest.root, paths) };
  },
};

/** Where settings of cards are, and the lines in them that are of one card alone. */
const places: { folder: string; names: RegExp; lines: RegExp }[] = [
  { folder: '/etc/sysconfig/network-scripts', names: /^ifcfg-(?!lo$)/, lines: /^\s*(HWADDR|MACADDR|UUID)\s*=/i },
  { folder: '/etc/sysconfig/network', names: /^ifcfg-(?!lo$)/, lines: /^\s*LLADDR\s*=/ },
  { folder: '/etc/network', names: /^interfaces$/, lines: /^\s*hwaddress\s/ },
  { folder: '/etc/network/interfaces.d', names: /./, lines: /^\s*hwaddress\s/ },
  { folder: '/etc/systemd/network', names: /\.network$/, lines: /^\s*(Permanent)?MACAddress\s*=/ },
  { folder: '/etc/netplan', names: /\.yaml$/, lines: /^\s*macaddress\s*:/ },
  { folder: '/etc/NetworkManager/system-connections', names: /./, lines: /^\s*mac-address\s*=/ },
];

const cardSettings: Rule = {
  id: 'nic-configuration',
  title: 'settings of network cards',
  why: 'What was written for the card of one machine does not fit that of a copy, which then has no network.',
  async look(guest) {
    const { generated, bound } = await settingsOf(guest);
    if (generated.length + bound.length === 0) return fine('No setting of a card names its address.');
    const boundPaths = bound.map(({ path }) => path);
    return {
      verdict: 'warning',
      seen: [
        ...(generated.length > 0 ? [`${naming(generated)}: made by cloud-init for the machine that this was.`] : []),
        ...(bound.length > 0 ? [`${naming(boundPaths)}: written for one card.`] : []),
      ].join(' '),
      repair: {
        says: 'Removes what cloud-init made, which it makes again, and the settings that fit one card alone.',
        async act() {
          for (const path of generated) await guest.root.remove(path);
          for (const setting of bound) await unbind(guest, setting);
          return `Removed what was of one card in ${naming([...generated, ...boundPaths])}.`;
        },
      },
    };
  },
};

/** A file, and which of its lines are of one card alone. */
type Bound = { path: string; lines: RegExp };

async function settingsOf(guest: GuestFiles): Promise<{ generated: string[]; bound: Bound[] }> {
  const generated: string[] = [];
  const bound: Bound[] = [];
  for (const { folder, names, lines } of places) {
    for (const { path, kind } of await guest.named(folder, names)) {
      if (kind !== 'file') continue;
      const text = (await guest.text(path)) ?? '';
      if (/cloud-init/.test(path) || /generated (from information|by cloud-init)|Created by cloud-init/i.test(text)) {
        generated.push(path);
      } else if (text.split('\n').some((line) => lines.test(line))) bound.push({ path, lines });
    }
  }
  return { generated, bound };
}

/** A file that is about one card goes; of one that is about more, the lines that name it. */
async function unbind(guest: GuestFiles, { path, lines }: Bound): Promise<void> {
  const isWhole = /\.(network|yaml)$|system-connections/.test(path);
  if (isWhole) return guest.root.remove(path);
  const text = (await guest.text(path)) ?? '';
  const kept = text.split('\n').filter((line) => !lines.test(line));
  await rewrite(guest.root, path, kept.join('\n'));
}

export const networkRules: readonly Rule[] = [persistentNames, cardSettings];
