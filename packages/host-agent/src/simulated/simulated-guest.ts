// The inside of simulated guests, as their agents show it: files, logins, a handful of programs, frozen or not. Held in
// memory only: a host that is read back from its state file has guests with empty disks.
import {
  type GuestCommand,
  type GuestCommandResult,
  type GuestFileStatus,
  type GuestInfo,
  maxGuestOutputBytes,
} from '@virga/contract/agent/guest';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { StoredDomain } from './host-records.ts';
import { requireDomain } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';

const defaultFileMode = 0o666;
const osRelease = 'PRETTY_NAME="Virga simulated guest"\nID=simulated\n';
let nextPid = 100;

type GuestFile = { bytes: Buffer; mode: number };

/** What is on the disk of a guest, and what lasts until it is off. */
export type SimulatedGuest = {
  files: Map<string, GuestFile>;
  passwords: Map<string, string>;
  keys: Map<string, string[]>;
  /** The boot in which it was frozen; another boot is not frozen. */
  frozenInBoot: number | null;
  /** Programs that have not been asked for their end, by number of their process. */
  programs: Map<number, { endsAtMs: number; result: GuestCommandResult }>;
};

export type GuestControls = {
  /** Ends the agent of a guest, or starts it again. */
  muteGuestAgent(isMute: boolean, id: InstanceId): void;
  /** The inside of a guest. */
  insideOf(id: InstanceId): SimulatedGuest;
};

type Guests = { inside: Map<InstanceId, SimulatedGuest>; mute: Set<InstanceId> };
const guestsOfHosts = new WeakMap<SimulatedHost, Guests>();

function guestsOf(host: SimulatedHost): Guests {
  const known = guestsOfHosts.get(host) ?? { inside: new Map(), mute: new Set() };
  guestsOfHosts.set(host, known);
  return known;
}

export function insideOf(host: SimulatedHost, id: InstanceId): SimulatedGuest {
  const { inside } = guestsOf(host);
  const known = inside.get(id) ?? {
    files: new Map([['/etc/os-release', { bytes: Buffer.from(osRelease), mode: 0o644 }]]),
    passwords: new Map(),
    keys: new Map(),
    frozenInBoot: null,
    programs: new Map(),
  };
  inside.set(id, known);
  return known;
}

export function guestControls(host: SimulatedHost): GuestControls {
  const { mute } = guestsOf(host);
  return {
    muteGuestAgent: (isMute, id) => void (isMute ? mute.add(id) : mute.delete(id)),
    insideOf: (id) => insideOf(host, id),
  };
}

/** The guest behind an agent that answers. @throws NotFound | GuestUnavailable */
export function answeringGuest(host: SimulatedHost, id: InstanceId): { guest: SimulatedGuest; domain: StoredDomain } {
  const domain = requireDomain(host, id);
  const { domainName } = domain.record.desired;
  const unavailable = (detail: string, action: string) => new VirgaError('GuestUnavailable', { detail, action });
  if (domain.power !== 'running') {
    throw unavailable(`${domainName} does not run, so nothing in it answers.`, 'Start it first.');
  }
  if (guestsOf(host).mute.has(id)) {
    throw unavailable(`No guest agent runs in ${domainName}.`, 'Install and start the package qemu-guest-agent in it.');
  }
  return { guest: insideOf(host, id), domain };
}

export const isFrozen = ({ guest, domain }: ReturnType<typeof answeringGuest>): boolean =>
  guest.frozenInBoot === domain.boots;

/** @throws GuestRefused */
export function refuseIfFrozen(answering: ReturnType<typeof answeringGuest>): void {
  if (isFrozen(answering)) throw refused('The file systems of the guest are frozen.', 'Thaw them: virga guest thaw.');
}

export function simulatedInfo(answering: ReturnType<typeof answeringGuest>): GuestInfo {
  const { desired } = answering.domain.record;
  return {
    agentVersion: '7.2.0',
    hostName: desired.seed.hostName,
    osId: 'simulated',
    osName: 'Virga simulated guest',
    kernel: '6.1.0-simulated',
    timeZone: 'UTC',
    users: [],
    interfaces: desired.nics.map(({ mac, address }, index) => ({
      name: `eth${index}`,
      mac,
      addresses: [`${address}/24`],
    })),
    fileSystems: [
      {
        mountPoint: '/',
        device: 'vda',
        type: 'ext4',
        totalBytes: desired.rootDisk.sizeBytes,
        usedBytes: Math.round(desired.rootDisk.sizeBytes / 4),
      },
    ],
    frozen: isFrozen(answering),
  };
}

/** How long the program runs, and what comes of it. */
export function runProgram(
  { guest, domain }: ReturnType<typeof answeringGuest>,
  { command, env = {}, input = Buffer.alloc(0) }: GuestCommand,
): { ms: number; result: GuestCommandResult } {
  const [program = '', ...rest] = command;
  const hostName = domain.record.desired.seed.hostName;
  const ends = (exitCode: number, stdout: string | Buffer = '', stderr = '') => ({ exitCode, stdout, stderr });
  const programs: Record<string, () => ReturnType<typeof ends>> = {
    true: () => ends(0),
    false: () => ends(1),
    echo: () => ends(0, `${rest.join(' ')}\n`),
    env: () =>
      ends(
        0,
        Object.entries(env)
          .map(([name, value]) => `${name}=${value}\n`)
          .join(''),
      ),
    hostname: () => ends(0, `${hostName}\n`),
    uname: () => ends(0, rest.includes('-a') ? `Linux ${hostName} 6.1.0-simulated\n` : 'Linux\n'),
    sleep: () => ends(0),
    cat: () => {
      if (rest.length === 0) return ends(0, input);
      const files = rest.map((path) => guest.files.get(path)?.bytes);
      const missing = rest[files.indexOf(undefined)];
      if (missing !== undefined) return ends(1, '', `cat: can't open '${missing}': No such file or directory\n`);
      return ends(0, Buffer.concat(files as Buffer[]));
    },
  };
  const run = Object.hasOwn(programs, program) ? programs[program] : undefined;
  const { exitCode, stdout, stderr } = run?.() ?? ends(127, '', `sh: ${program}: not found\n`);
  const bytes = Buffer.from(stdout as Buffer);
  return {
    ms: program === 'sleep' ? Number(rest[0] ?? 0) * 1000 : 0,
    result: {
      pid: nextPid++,
      exitCode,
      stdout: bytes.subarray(0, maxGuestOutputBytes),
      stderr: Buffer.from(stderr),
      truncated: bytes.length > maxGuestOutputBytes,
    },
  };
}

/** @throws GuestRefused */
export function programOf(guest: SimulatedGuest, pid: number) {
  const program = guest.programs.get(pid);
  if (program === undefined) throw refused(`PID ${pid} does not exist.`, 'Name a process that was started so.');
  return program;
}

export function fileStatus({ guest }: ReturnType<typeof answeringGuest>, path: string): GuestFileStatus {
  const file = guest.files.get(path);
  if (file) return { kind: 'file', sizeBytes: file.bytes.length, mode: file.mode };
  const isFolder = path === '/' || [...guest.files.keys()].some((known) => known.startsWith(`${path}/`));
  if (isFolder || path === '/tmp' || path === '/root') return { kind: 'directory', sizeBytes: 4096, mode: 0o755 };
  return { kind: 'absent', sizeBytes: null, mode: null };
}

export function readFile(guest: SimulatedGuest, path: string, offset: number, length: number) {
  const bytes = guest.files.get(path)?.bytes;
  if (bytes === undefined) throw refused(`failed to open file '${path}': No such file or directory.`, 'Name another.');
  return { bytes: bytes.subarray(offset, offset + length), endOfFile: offset + length > bytes.length };
}

export function writeFile(guest: SimulatedGuest, path: string, offset: number, bytes: Buffer, mode?: number): void {
  const earlier = guest.files.get(path);
  if (offset > 0 && earlier === undefined) throw refused(`failed to open file '${path}'.`, 'Begin at its beginning.');
  const kept = offset === 0 ? Buffer.alloc(0) : earlier!.bytes;
  const whole = Buffer.alloc(Math.max(kept.length, offset + bytes.length));
  kept.copy(whole);
  bytes.copy(whole, offset);
  guest.files.set(path, { bytes: whole, mode: mode ?? earlier?.mode ?? defaultFileMode });
}

function refused(detail: string, action: string): VirgaError {
  return new VirgaError('GuestRefused', { detail, action });
}
