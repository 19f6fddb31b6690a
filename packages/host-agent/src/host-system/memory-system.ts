// A host's files in memory, with a kernel behind those of sysfs and procfs that refuses and chooses as the real one does: for
// simulated hosts, and for hosts of other kinds in tests. A name that ends in a slash is a folder that may be empty.
import type { FileAccess, HostSystem } from './host-system.ts';

export type FileTable = {
  get(path: string): string | undefined;
  set(path: string, content: string): void;
  delete(path: string): void;
  paths(): Iterable<string>;
};

/**
 * What the kernel makes of a value that is written into one of its files.
 * @throws Error with a code, such as EINVAL, to refuse it
 */
export type KernelRule = (path: string, value: string) => string;

export type MemorySystemOptions = { kernel?: KernelRule | undefined; run?: HostSystem['run'] | undefined };

const everybody: FileAccess = { uid: 0, gid: 0, mode: 0o644 };

export function memorySystem(files: FileTable, options: MemorySystemOptions = {}): HostSystem {
  const { kernel = (_, value) => value } = options;
  const modes = new Map<string, FileAccess>();
  const under = (path: string): string[] => {
    const prefix = path.endsWith('/') ? path : `${path}/`;
    return [...files.paths()].flatMap((one) => (one.startsWith(prefix) ? [one.slice(prefix.length)] : []));
  };
  const exists = (path: string): boolean => files.get(path) !== undefined || under(path).length > 0;
  return {
    read: async (path) => files.get(path),
    list: async (path) =>
      [...new Set(under(path).map((name) => name.split('/')[0]!))].filter((name) => name !== '').sort(),
    exists: async (path) => exists(path),
    link: async () => undefined,
    access: async (path) => (exists(path) ? (modes.get(path) ?? everybody) : undefined),
    async writeValue(path, value) {
      if (files.get(path) === undefined) throw failure('ENOENT');
      const taken = kernel(path, value);
      files.set(path, written(files.get(path)!, taken));
    },
    async replaceFile(path, content) {
      if (content === null) files.delete(path);
      else files.set(path, content);
    },
    async setAccess(path, access) {
      if (!exists(path)) throw failure('ENOENT');
      modes.set(path, access);
    },
    run:
      options.run ??
      (async (program) => {
        throw new Error(`the host has no program ${program}`);
      }),
  };
}

/** Of a list with a chosen one another is chosen. */
function written(before: string, value: string): string {
  if (!/\[[^\]]+\]/.test(before)) return `${value}\n`;
  const words = before
    .trim()
    .split(/\s+/)
    .map((word) => word.replace(/^\[(.*)\]$/, '$1'));
  if (!words.includes(value)) throw failure('EINVAL');
  return `${words.map((word) => (word === value ? `[${word}]` : word)).join(' ')}\n`;
}

const failure = (code: string): Error => Object.assign(new Error(code), { code });

export const fileTable = (content: Record<string, string>): FileTable => {
  const files = new Map(Object.entries(content));
  return {
    get: (path) => files.get(path),
    set: (path, text) => void files.set(path, text),
    delete: (path) => void files.delete(path),
    paths: () => files.keys(),
  };
};
