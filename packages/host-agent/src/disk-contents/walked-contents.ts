// The way from a path of the guest to what is there, for file systems whose folders can be read one at a time: from the root on,
// with links followed here, as the guest would, so that they never lead out. Owns that way, and what was read of folders.
import { join } from 'node:path/posix';
import type { Entry, NewFile, RootContents } from './disk-contents.ts';

const mostLinks = 40;
const defaultReadBytes = 4 * 1024 * 1024;

/** A path without links, and what is there. */
export type Place = { path: string; entry: Entry };

export abstract class WalkedContents implements RootContents {
  private readonly root: Entry;
  private readonly folders = new Map<string, Entry[]>();

  constructor(root: Entry) {
    this.root = root;
  }

  abstract readonly fileSystem: string;
  abstract write(path: string, content: string | Buffer, file: NewFile): Promise<void>;
  abstract link(path: string, target: string): Promise<void>;
  abstract remove(path: string): Promise<void>;
  abstract needsRecovery(): Promise<boolean>;
  abstract recover(): Promise<void>;
  abstract settle(): Promise<void>;
  protected abstract readFolder(folder: Place): Promise<Entry[]>;
  protected abstract readTarget(link: Place): Promise<string>;
  /** The first bytes of a file that is not empty. */
  protected abstract readFile(file: Place, maxBytes: number): Promise<Buffer>;

  async stat(path: string): Promise<Entry | undefined> {
    return (await this.walk(path, true))?.entry;
  }

  async linkStat(path: string): Promise<Entry | undefined> {
    return (await this.walk(path, false))?.entry;
  }

  async list(path: string): Promise<Entry[]> {
    const place = await this.walk(path, true);
    return place?.entry.kind === 'folder' ? this.entriesOf(place) : [];
  }

  async linkTarget(path: string): Promise<string | undefined> {
    const place = await this.walk(path, false);
    return place?.entry.kind === 'link' ? this.readTarget(place) : undefined;
  }

  async read(path: string, maxBytes = defaultReadBytes): Promise<Buffer | undefined> {
    const place = await this.walk(path, true);
    if (place?.entry.kind !== 'file') return undefined;
    return place.entry.sizeBytes === 0 ? Buffer.alloc(0) : this.readFile(place, maxBytes);
  }

  protected async walk(path: string, followLast: boolean): Promise<Place | undefined> {
    const names = path.split('/').filter(Boolean);
    const trail: Place[] = [{ path: '/', entry: this.root }];
    let links = 0;
    while (names.length > 0) {
      const name = names.shift()!;
      const at = trail.at(-1)!;
      if (name === '.') continue;
      if (name === '..') {
        if (trail.length > 1) trail.pop();
        continue;
      }
      if (at.entry.kind !== 'folder') return undefined;
      const entry = (await this.entriesOf(at)).find((one) => one.name === name);
      if (entry === undefined) return undefined;
      const place = { path: join(at.path, name), entry };
      if (entry.kind === 'link' && (followLast || names.length > 0)) {
        if (++links > mostLinks) return undefined;
        const target = await this.readTarget(place);
        if (target.startsWith('/')) trail.length = 1;
        names.unshift(...target.split('/').filter(Boolean));
        continue;
      }
      trail.push(place);
    }
    return trail.at(-1);
  }

  protected async entriesOf(folder: Place): Promise<Entry[]> {
    const known = this.folders.get(folder.path);
    if (known) return known;
    const entries = await this.readFolder(folder);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.folders.set(folder.path, entries);
    return entries;
  }

  /** After a change. */
  protected forget(): void {
    this.folders.clear();
  }
}
