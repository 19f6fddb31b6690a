// What a host agent can do inside of a guest, through the guest's own agent, and at its screen. Nothing here has a desired
// state: each call acts once, or says why it cannot. Whoever must not do a thing twice writes down that it was asked for.
import type { Duplex } from 'node:stream';
import type { InstanceId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

/** A guest reads and writes its files in pieces of at most this many bytes, so that both sides need little memory. */
export const maxGuestPieceBytes = 1024 ** 2;
/** Of each of standard output and standard error; what comes after that is dropped, and `truncated` says so. */
export const maxGuestOutputBytes = 1024 ** 2;

export type GuestCommand = {
  /** The program and its arguments; no shell takes them apart. */
  command: readonly string[];
  /** Added to the environment that the guest's agent has. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Standard input, at most {@link maxGuestPieceBytes}. Default empty. */
  input?: Buffer | undefined;
  /** How long its end is waited for. */
  waitMs: number;
};

export type GuestCommandResult = {
  /** Number of the process in the guest. */
  pid: number;
  /** 128 and the number of the signal when one ended it; 127 when there is no such program; null while it runs. */
  exitCode: number | null;
  stdout: Buffer;
  stderr: Buffer;
  /** Some output was dropped. */
  truncated: boolean;
};

export type GuestInfo = {
  /** What the guest does not tell is null; a list that it does not tell is empty. */
  agentVersion: string | null;
  hostName: string | null;
  osId: string | null;
  osName: string | null;
  kernel: string | null;
  timeZone: string | null;
  /** Who is logged in. */
  users: { name: string; since: Date | null }[];
  interfaces: { name: string; mac: string | null; addresses: string[] }[];
  fileSystems: {
    mountPoint: string;
    device: string;
    type: string;
    totalBytes: number | null;
    usedBytes: number | null;
  }[];
  /** Its file systems take no writes. */
  frozen: boolean;
};

export type GuestFileStatus = {
  kind: 'file' | 'directory' | 'other' | 'absent';
  sizeBytes: number | null;
  /** Permission bits, such as 0o644. */
  mode: number | null;
};

export type GuestPiece = { path: string; offset: number; bytes: Buffer };

/**
 * Every call fails with GuestUnavailable when no agent answers in the guest, which says what to do about it, and with
 * GuestRefused when the guest's agent answers that it cannot or may not. With NotFound when there is no domain.
 */
export interface GuestAccess {
  guestInfo(id: InstanceId, context?: CallContext): Promise<GuestInfo>;
  /**
   * Runs a program in the guest, as the user that the guest's agent runs as, and waits for its end. When that takes
   * longer it goes on: no agent can end it. Output is there once it has ended.
   */
  guestExec(id: InstanceId, command: GuestCommand, context?: CallContext): Promise<GuestCommandResult>;
  /** Waits on for the end of a program. The guest tells of an end once. @throws GuestRefused it knows no such process */
  guestAwaitCommand(
    id: InstanceId,
    process: { pid: number; waitMs: number },
    context?: CallContext,
  ): Promise<GuestCommandResult>;
  guestFileStatus(id: InstanceId, path: string, context?: CallContext): Promise<GuestFileStatus>;
  /** At most `length` bytes from `offset`; fewer only at the end of the file. */
  guestReadFile(
    id: InstanceId,
    piece: { path: string; offset: number; length: number },
    context?: CallContext,
  ): Promise<{ bytes: Buffer; endOfFile: boolean }>;
  /** Writes a piece; one at offset 0 makes the file anew. `mode` is set after the piece is written. */
  guestWriteFile(
    id: InstanceId,
    piece: GuestPiece & { mode?: number | undefined },
    context?: CallContext,
  ): Promise<void>;
  /** Idempotent. Answers how many file systems the guest says it has frozen, 0 when they were frozen already. */
  guestFreeze(id: InstanceId, context?: CallContext): Promise<{ fileSystems: number }>;
  /** Idempotent. Answers how many file systems go on. */
  guestThaw(id: InstanceId, context?: CallContext): Promise<{ fileSystems: number }>;
  guestSetPassword(id: InstanceId, login: { user: string; password: string }, context?: CallContext): Promise<void>;
  /** Adds keys to those that may log in as that user, or with `replace` takes away all others. */
  guestSetKeys(
    id: InstanceId,
    access: { user: string; keys: readonly string[]; replace: boolean },
    context?: CallContext,
  ): Promise<void>;
}

export interface ScreenAccess {
  /**
   * The screen and keyboard by the RFB protocol of VNC, as a client connects to it. It ends when the domain stops.
   * @throws Conflict the instance does not run, or has no screen
   */
  openDisplay(id: InstanceId): Promise<Duplex>;
  /** A picture of the screen as it is now, always a PNG. @throws Conflict the instance does not run, or has no screen */
  screenshot(id: InstanceId, context?: CallContext): Promise<{ mediaType: 'image/png'; bytes: Buffer }>;
}
