// What a machine has left behind while it ran: of no use to a copy, and not for others to read.
import type { Found } from './guest-files.ts';
import { fine, naming, pathsOf, type Rule, removal } from './rule.ts';

function sizeOf(found: readonly Found[]): string {
  const bytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
const files = (count: number): string => (count === 1 ? 'one file' : `${count} files`);
/** Files that stay, so that whoever writes to them finds them with the rights that they have. */
const isKept = (path: string): boolean =>
  !/(\.[0-9]+|\.gz|\.xz|\.zst|\.old|-[0-9]{8})$|^\/var\/log\/(journal|installer)\//.test(path);

const logs: Rule = {
  id: 'logs',
  title: 'logs',
  why: 'They tell of another machine, and of those who used it.',
  async look(guest) {
    const found = (await guest.below('/var/log')).filter(({ kind, sizeBytes }) => kind === 'file' && sizeBytes > 0);
    if (found.length === 0) return fine('There is nothing in the files below /var/log.');
    return {
      verdict: 'warning',
      seen: `There are ${sizeOf(found)} in ${files(found.length)} below /var/log: ${naming(pathsOf(found))}.`,
      repair: {
        says: 'Empties them, and removes older ones and the journal.',
        async act() {
          for (const { path, mode, uid, gid } of found) {
            if (isKept(path)) await guest.root.write(path, '', { mode, uid, gid });
            else await guest.root.remove(path);
          }
          for (const { path, kind } of await guest.named('/var/log/journal', /^[0-9a-f]{32}$/)) {
            if (kind === 'folder') await guest.root.remove(path);
          }
          return `Emptied ${files(found.length)} below /var/log.`;
        },
      },
    };
  },
};

/** Where distributions keep them that no longer have /var/log/wtmp and lastlog. */
const logins: Rule = {
  id: 'logins',
  title: 'who logged in',
  why: 'It tells of those who used another machine.',
  async look(guest) {
    const found = [
      ...(await guest.named('/var/lib/wtmpdb', /^wtmp\.db/)),
      ...(await guest.named('/var/lib/lastlog', /^lastlog2\.db/)),
    ];
    if (found.length === 0) return fine('There is no list of logins below /var/lib.');
    const paths = pathsOf(found);
    return { verdict: 'warning', seen: `There is ${naming(paths)}.`, repair: removal(guest.root, paths) };
  },
};

const histories = [
  ...[
    '.ash_history',
    '.bash_history',
    '.zsh_history',
    '.history',
    '.sh_history',
    '.python_history',
    '.lesshst',
    '.viminfo',
  ],
  ...[
    '.mysql_history',
    '.psql_history',
    '.sqlite_history',
    '.node_repl_history',
    '.wget-hsts',
    '.sudo_as_admin_successful',
  ],
];

const history: Rule = {
  id: 'shell-history',
  title: 'histories of shells',
  why: 'What was typed may have passwords in it.',
  async look(guest) {
    const paths = pathsOf(await guest.inHomes(histories));
    if (paths.length === 0) return fine('There is no history in the homes of people.');
    return { verdict: 'warning', seen: `There is ${naming(paths)}.`, repair: removal(guest.root, paths) };
  },
};

const leases: Rule = {
  id: 'dhcp-leases',
  title: 'DHCP leases',
  why: 'A copy would ask for the address of the machine that this was.',
  async look(guest) {
    const found: Found[] = [];
    for (const folder of ['/var/lib/dhcp', '/var/lib/dhclient', '/var/lib/dhcpcd', '/var/lib/NetworkManager']) {
      found.push(...(await guest.named(folder, /lease|timestamps|secret_key|duid/)));
    }
    const paths = pathsOf(found.filter(({ kind, sizeBytes }) => kind === 'file' && sizeBytes > 0));
    if (paths.length === 0) return fine('There is no lease.');
    return { verdict: 'warning', seen: `There is ${naming(paths)}.`, repair: removal(guest.root, paths) };
  },
};

const cloudInitState: Rule = {
  id: 'cloud-init-state',
  title: 'what cloud-init remembers',
  why: 'It keeps the user data of the machine that this was, which may have secrets in it.',
  async look(guest) {
    const kept = ['/var/lib/cloud', '/var/lib/virga'];
    const paths: string[] = [];
    for (const folder of kept) {
      for (const { name, path } of await guest.named(folder, /./)) {
        if (name === 'seed' || (name === 'scripts' && (await guest.below(path)).length === 0)) continue;
        paths.push(path);
      }
    }
    if (paths.length === 0) return fine('There is nothing of an earlier machine in /var/lib/cloud.');
    return { verdict: 'warning', seen: `There is ${naming(paths)}.`, repair: removal(guest.root, paths) };
  },
};

const leftFiles: Rule = {
  id: 'temporary-files',
  title: 'temporary files and downloaded packages',
  why: 'They make every copy larger.',
  async look(guest) {
    const folders = [
      '/tmp',
      '/var/tmp',
      '/var/cache/apt/archives',
      '/var/cache/dnf',
      '/var/cache/yum',
      '/var/cache/libdnf5',
      '/var/cache/zypp',
      '/var/cache/pacman/pkg',
      '/var/cache/apk',
    ];
    const found: Found[] = [];
    for (const folder of folders) {
      found.push(
        ...(await guest.below(folder)).filter(
          ({ kind, name, sizeBytes }) => kind === 'file' && sizeBytes > 0 && name !== 'lock',
        ),
      );
    }
    found.push(...(await guest.named('/var/cache/apt', /\.bin$/)));
    if (found.length === 0) return fine('There is nothing in the folders for temporary files and packages.');
    const paths = pathsOf(found);
    const seen = `There are ${sizeOf(found)} in ${found.length} files: ${naming(paths)}.`;
    return { verdict: 'advice', seen, repair: removal(guest.root, paths) };
  },
};

export const tracesRules: readonly Rule[] = [logs, logins, history, leases, cloudInitState, leftFiles];
