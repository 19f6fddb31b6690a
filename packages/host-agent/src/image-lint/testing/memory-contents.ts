// The contents of a disk that is a table of paths, for tests of rules: files, and links that are not followed.
import type { DiskContents, Entry, NewFile } from '../../disk-contents/disk-contents.ts';

type Node = { content: string; mode: number; target?: string };

export class MemoryContents implements DiskContents {
  readonly fileSystem = 'ext4';
  private readonly nodes = new Map<string, Node>();

  constructor(files: Record<string, string>) {
    for (const [path, content] of Object.entries(files)) this.nodes.set(path, { content, mode: 0o644 });
  }

  /** What there is now. */
  get files(): Record<string, string> {
    return Object.fromEntries([...this.nodes].map(([path, { content, target }]) => [path, target ?? content]));
  }

  async stat(path: string): Promise<Entry | undefined> {
    return this.linkStat(path);
  }

  async linkStat(path: string): Promise<Entry | undefined> {
    const node = this.nodes.get(path);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const entry = { name, inode: 1, uid: 0, gid: 0 };
    if (node) {
      const kind = node.target === undefined ? 'file' : 'link';
      return { ...entry, kind, mode: node.mode, sizeBytes: node.content.length };
    }
    const isFolder = [...this.nodes.keys()].some((other) => other.startsWith(`${path}/`));
    return isFolder ? { ...entry, kind: 'folder', mode: 0o755, sizeBytes: 0 } : undefined;
  }

  async list(path: string): Promise<Entry[]> {
    const prefix = path === '/' ? '/' : `${path}/`;
    const inside = [...this.nodes.keys()].filter((other) => other.startsWith(prefix));
    const names = new Set(inside.map((other) => other.slice(prefix.length).split('/')[0]!));
    return Promise.all([...names].sort().map(async (name) => (await this.linkStat(`${prefix}${name}`))!));
  }

  async linkTarget(path: string): Promise<string | undefined> {
    return this.nodes.get(path)?.target;
  }

  async read(path: string): Promise<Buffer | undefined> {
    const node = this.nodes.get(path);
    return node && Buffer.from(node.content);
  }

  async write(path: string, content: string | Buffer, { mode }: NewFile): Promise<void> {
    this.nodes.set(path, { content: content.toString(), mode });
  }

  async link(path: string, target: string): Promise<void> {
    this.nodes.set(path, { content: '', mode: 0o777, target });
  }

  async remove(path: string): Promise<void> {
    for (const other of [...this.nodes.keys()]) {
      if (other === path || other.startsWith(`${path}/`)) this.nodes.delete(other);
    }
  }
}
