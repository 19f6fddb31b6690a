// Another kind of host for tests: its files, device nodes and programs, held in memory, with the ways of sysfs where they matter
// to a check. What is written to it can be looked at.
import type { Acceleration } from '@virga/contract/agent/host-facts';
import type { FileAccess, HostSystem } from '../../host-system/host-system.ts';
import type { CheckedHost, Hypervisor } from '../host-check.ts';

/** Content by path; null: there is none, where another tree that this one is made from has it. */
type Files = Readonly<Record<string, string | null>>;

export type HostTree = {
  arch: CheckedHost['arch'];
  files: Files;
  links?: Readonly<Record<string, string>>;
  access?: Readonly<Record<string, FileAccess>>;
  /** What programs print, by a pattern of the command line; others are not installed. */
  programs: readonly (readonly [commandLine: RegExp, output: string])[];
  acceleration: Acceleration;
  hypervisor: Hypervisor;
  freeBytes?: number;
  directIo?: boolean;
};

export const storagePath = '/var/lib/virga/storage';
const gibibyte = 1024 ** 3;

export type SeenTree = { system: HostSystem; host: CheckedHost; state(): unknown };

export function openTree(tree: HostTree): SeenTree {
  const present = Object.entries(tree.files).filter((entry): entry is [string, string] => entry[1] !== null);
  const files = new Map(present.map(([path, content]) => [path, content.endsWith('\n') ? content : `${content}\n`]));
  const access = new Map(Object.entries(tree.access ?? {}));
  const links = new Map(Object.entries(tree.links ?? {}));
  const isThere = (path: string) =>
    files.has(path) || links.has(path) || [...files.keys()].some((file) => file.startsWith(`${path}/`));
  const system: HostSystem = {
    read: async (path) => files.get(path),
    list: async (path) => {
      const inside = [...files.keys(), ...links.keys()].filter((file) => file.startsWith(`${path}/`));
      return [...new Set(inside.map((file) => file.slice(path.length + 1).split('/')[0]!))].sort();
    },
    exists: async (path) => isThere(path),
    link: async (path) => links.get(path),
    access: async (path) => (isThere(path) ? (access.get(path) ?? { uid: 0, gid: 0, mode: 0o644 }) : undefined),
    writeValue: async (path, value) => {
      const before = files.get(path);
      if (before === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
      // Of a list the kernel moves the mark.
      const list = before.replace(/[[\]\n]/g, '').split(' ');
      const marked = list.map((word) => (word === value ? `[${word}]` : word)).join(' ');
      files.set(path, `${before.includes('[') ? marked : value}\n`);
    },
    replaceFile: async (path, content) => void (content === null ? files.delete(path) : files.set(path, content)),
    setAccess: async (path, wanted) => void access.set(path, wanted),
    run: async (program, args) => {
      const commandLine = [program, ...args].join(' ');
      const found = tree.programs.find(([pattern]) => pattern.test(commandLine));
      if (found === undefined) throw new Error(`${commandLine} fails`);
      return found[1];
    },
  };
  const host: CheckedHost = {
    arch: tree.arch,
    storagePath,
    storageSpace: async () => ({ totalBytes: 1000 * gibibyte, freeBytes: tree.freeBytes ?? 700 * gibibyte }),
    directIo: tree.directIo ?? true,
    acceleration: async () => ({ ...tree.acceleration, proven: true }),
    hypervisor: async () => tree.hypervisor,
    pause: async () => undefined,
  };
  return { system, host, state: () => ({ files: Object.fromEntries(files), access: Object.fromEntries(access) }) };
}
