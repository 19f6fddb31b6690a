// What lies on the disk of a guest: files of one file system, as they can be listed, read and changed while no guest runs on
// it and without the host's kernel mounting it. Owns the interface; decision 14 says how it is kept.

export type EntryKind = 'file' | 'folder' | 'link' | 'other';

export type Entry = {
  name: string;
  kind: EntryKind;
  inode: number;
  /** Rights alone, such as 0o644. */
  mode: number;
  uid: number;
  gid: number;
  /** 0 of everything but files and links. */
  sizeBytes: number;
};

export type NewFile = { mode: number; uid?: number; gid?: number };

/** Paths are absolute, of the guest. Links are followed as the guest would, and never lead out of its file system. */
export interface DiskContents {
  /** Such as `ext4`. */
  readonly fileSystem: string;
  /** What is there, followed to its end; undefined: nothing is. */
  stat(path: string): Promise<Entry | undefined>;
  /** Without following the last link. */
  linkStat(path: string): Promise<Entry | undefined>;
  /** Sorted by name; empty when there is no such folder. */
  list(path: string): Promise<Entry[]>;
  /** Where a link leads, as it is written in it; undefined: it is none. */
  linkTarget(path: string): Promise<string | undefined>;
  /** The first bytes of a file; undefined: there is none. */
  read(path: string, maxBytes?: number): Promise<Buffer | undefined>;
  /** Makes a file, or replaces it. Folders above it are made. */
  write(path: string, content: string | Buffer, file: NewFile): Promise<void>;
  link(path: string, target: string): Promise<void>;
  /** With everything in it. Nothing there is success. */
  remove(path: string): Promise<void>;
}

/** The root of a guest, with what else makes one system of it. */
export interface RootContents extends DiskContents {
  /** It was not unmounted: the last changes are in its journal. */
  needsRecovery(): Promise<boolean>;
  /** Before changes: brings in what the journal has. @throws CommandFailed it cannot be mended by itself */
  recover(): Promise<void>;
  /** After changes: all of them are on the disk, which is as after an orderly end. */
  settle(): Promise<void>;
}
