// The memory of a simulated host: tables in memory and, when it has a file, a journal of every change. A change is in the
// file, as one line, before the call returns, so it outlives a SIGKILL of the process; a power cut may take it back, as
// nothing is flushed. A line that a crash tore is the last one and counts as never written.
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import type { DesiredCpuPools } from '@virga/contract/agent/cpu-map';
import type { HostKeepsake } from '@virga/contract/agent/host-keepsake';
import type { ImageCopy } from '@virga/contract/agent/image-copies';
import type { DesiredPool } from '@virga/contract/agent/pools';
import { partialPath } from '../durable-file.ts';
import type {
  StoredBoot,
  StoredDomain,
  StoredFile,
  StoredFolder,
  StoredForeignDomain,
  StoredImage,
  StoredMove,
  StoredNetwork,
  StoredShell,
  StoredSnapshot,
  StoredTemplate,
  StoredVolume,
} from './host-records.ts';

type Tables = {
  images: StoredImage;
  networks: StoredNetwork;
  volumes: StoredVolume;
  folders: StoredFolder;
  domains: StoredDomain;
  foreignDomains: StoredForeignDomain;
  boots: StoredBoot;
  templates: StoredTemplate;
  shells: StoredShell;
  snapshots: StoredSnapshot;
  files: StoredFile;
  cpuPools: DesiredCpuPools;
  pools: DesiredPool;
  keepsakes: HostKeepsake;
  moves: StoredMove;
  imageCopies: ImageCopy;
};
type TableName = keyof Tables;
type Change = [table: TableName, key: string, value: unknown];

const tableNames = [
  'images',
  'networks',
  'volumes',
  'folders',
  'domains',
  'foreignDomains',
  'boots',
  'templates',
  'shells',
  'snapshots',
  'files',
  'cpuPools',
  'pools',
  'keepsakes',
  'moves',
  'imageCopies',
] as const satisfies TableName[];
/** Changes beyond what is alive, from which on the journal is written anew. */
const staleChangesLimit = 2_000;

/** One kind of thing on the host, by id. Values are replaced, never changed in place. */
export class Table<V> {
  private readonly values = new Map<string, V>();
  private readonly onChange: (key: string, value: V | null) => void;

  constructor(onChange: (key: string, value: V | null) => void) {
    this.onChange = onChange;
  }

  get size(): number {
    return this.values.size;
  }

  get(key: string): V | undefined {
    return this.values.get(key);
  }

  all(): V[] {
    return [...this.values.values()];
  }

  entries(): Iterable<[string, V]> {
    return this.values;
  }

  set(key: string, value: V): void {
    this.values.set(key, value);
    this.onChange(key, value);
  }

  delete(key: string): void {
    if (this.values.delete(key)) this.onChange(key, null);
  }

  /** Takes a change that was read back. */
  restore(key: string, value: V | null): void {
    if (value === null) this.values.delete(key);
    else this.values.set(key, value);
  }
}

export class HostStore {
  readonly images = this.table<StoredImage>('images');
  readonly networks = this.table<StoredNetwork>('networks');
  readonly volumes = this.table<StoredVolume>('volumes');
  readonly folders = this.table<StoredFolder>('folders');
  readonly domains = this.table<StoredDomain>('domains');
  readonly foreignDomains = this.table<StoredForeignDomain>('foreignDomains');
  /** How often the host has booted, under its own name. */
  readonly boots = this.table<StoredBoot>('boots');

  readonly templates = this.table<StoredTemplate>('templates');
  readonly shells = this.table<StoredShell>('shells');
  readonly snapshots = this.table<StoredSnapshot>('snapshots');
  /** Files of the host itself that are not as it was made with, by path. */
  readonly files = this.table<StoredFile>('files');
  /** How its CPUs are divided, under its own name. */
  readonly cpuPools = this.table<DesiredCpuPools>('cpuPools');
  readonly pools = this.table<DesiredPool>('pools');
  /** Of volumes, by the id of the volume. */
  readonly moves = this.table<StoredMove>('moves');
  /** By pool and image. */
  readonly imageCopies = this.table<ImageCopy>('imageCopies');
  /** By cloud. */
  readonly keepsakes = this.table<HostKeepsake>('keepsakes');

  private readonly path: string | undefined;
  private file: number | undefined;
  private written = 0;

  /** @param path the journal; without one the host forgets everything with the process */
  constructor(path: string | undefined) {
    this.path = path;
    if (path !== undefined && this.restore(path)) this.rewrite(path);
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private table<V>(name: TableName): Table<V> {
    return new Table<V>((key, value) => this.append([name, key, value]));
  }

  private append(change: Change): void {
    if (this.path === undefined) return;
    this.file ??= openSync(this.path, 'a', 0o600);
    writeSync(this.file, `${JSON.stringify(change)}\n`);
    this.written++;
    if (this.written > 2 * this.alive() + staleChangesLimit) this.rewrite(this.path);
  }

  /** Reads the journal. @returns true when it has to be written anew before anything is added */
  private restore(path: string): boolean {
    const lines = readJournal(path).split('\n');
    const torn = lines.pop() !== '';
    for (const line of lines) {
      const [table, key, value] = JSON.parse(line) as Change;
      (this[table] as Table<unknown>).restore(key, value);
    }
    this.written = lines.length;
    return torn;
  }

  private rewrite(path: string): void {
    this.close();
    const changes = tableNames.flatMap((name) =>
      Array.from<[string, unknown], Change>(this[name].entries(), ([key, value]) => [name, key, value]),
    );
    rmSync(partialPath(path), { force: true });
    writeFileSync(partialPath(path), changes.map((change) => `${JSON.stringify(change)}\n`).join(''), { mode: 0o600 });
    renameSync(partialPath(path), path);
    this.written = changes.length;
  }

  private alive(): number {
    return tableNames.reduce((sum, name) => sum + this[name].size, 0);
  }
}

function readJournal(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
