// A guest's disk as the rules of the lint look at it: texts, folders with everything below them, people with their homes.
// Owns no rule. What is too large or too deep for an honest guest is left out.
import { join } from 'node:path/posix';
import type { DiskContents, Entry } from '../disk-contents/disk-contents.ts';
import type { DiskLayout } from '../disk-contents/disk-layout.ts';
import type { OpenContents } from '../disk-contents/open-contents.ts';

const deepest = 8;
const mostFiles = 20_000;
const firstPerson = 1000;
const lastPerson = 59_999;

export type Found = Entry & { path: string };
export type Person = { name: string; home: string };

export class GuestFiles {
  readonly root: DiskContents;
  readonly boot: DiskContents;
  readonly bootPath: string;
  readonly layout: DiskLayout;

  constructor({ root, boot, bootPath, layout }: Pick<OpenContents, 'root' | 'boot' | 'bootPath' | 'layout'>) {
    this.root = root;
    this.boot = boot;
    this.bootPath = bootPath;
    this.layout = layout;
  }

  async has(path: string): Promise<boolean> {
    return (await this.root.stat(path)) !== undefined;
  }

  /** The first that is there. */
  async firstOf(paths: readonly string[]): Promise<string | undefined> {
    for (const path of paths) if (await this.has(path)) return path;
    return undefined;
  }

  async text(path: string, contents = this.root): Promise<string | undefined> {
    return (await contents.read(path))?.toString();
  }

  /** Its lines without comments and empty ones. */
  async lines(path: string): Promise<string[]> {
    const lines = (await this.text(path))?.split('\n') ?? [];
    return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  }

  /** What lies in a folder, by name. */
  async named(folder: string, pattern: RegExp): Promise<Found[]> {
    const entries = await this.root.list(folder);
    return entries
      .filter(({ name }) => pattern.test(name))
      .map((entry) => ({ ...entry, path: join(folder, entry.name) }));
  }

  /** Everything below a folder that is no folder. Links are not followed. */
  async below(folder: string): Promise<Found[]> {
    const found: Found[] = [];
    const look = async (path: string, depth: number): Promise<void> => {
      for (const entry of await this.root.list(path)) {
        if (found.length >= mostFiles) return;
        const inner = join(path, entry.name);
        if (entry.kind !== 'folder') found.push({ ...entry, path: inner });
        else if (depth < deepest) await look(inner, depth + 1);
      }
    };
    await look(folder, 1);
    return found;
  }

  /** Root, and those who may log in as themselves. */
  async people(): Promise<Person[]> {
    const people = (await this.lines('/etc/passwd')).flatMap((line) => {
      const [name = '', , uid = '', , , home = ''] = line.split(':');
      const number = Number(uid);
      const isPerson = number === 0 || (number >= firstPerson && number <= lastPerson);
      return isPerson && home.startsWith('/') && home !== '/' ? [{ name, home }] : [];
    });
    return people.length > 0 ? people : [{ name: 'root', home: '/root' }];
  }

  async inHomes(names: readonly string[]): Promise<Found[]> {
    const found: Found[] = [];
    for (const { home } of await this.people()) {
      for (const name of names) {
        const path = join(home, name);
        const entry = await this.root.linkStat(path);
        if (entry) found.push({ ...entry, path });
      }
    }
    return found;
  }

  async hasSystemd(): Promise<boolean> {
    return (await this.firstOf(['/usr/lib/systemd/systemd', '/lib/systemd/systemd'])) !== undefined;
  }

  /** Where a unit of systemd is; undefined: there is none. */
  async unit(name: string): Promise<string | undefined> {
    return this.firstOf([
      `/usr/lib/systemd/system/${name}`,
      `/lib/systemd/system/${name}`,
      `/etc/systemd/system/${name}`,
    ]);
  }

  async isMasked(unit: string): Promise<boolean> {
    return (await this.root.linkTarget(`/etc/systemd/system/${unit}`)) === '/dev/null';
  }

  /** Something asks for it: the administrator, or its package. */
  async isEnabled(unit: string): Promise<boolean> {
    if (await this.isMasked(unit)) return false;
    for (const folder of ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system']) {
      for (const { name, kind } of await this.root.list(folder)) {
        if (kind !== 'folder' || !/\.(wants|requires)$/.test(name)) continue;
        if (await this.root.linkStat(`${folder}/${name}/${unit}`)) return true;
      }
    }
    return false;
  }
}
