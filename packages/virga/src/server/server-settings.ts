// What a server was told when it was set up, kept in its state folder, so that the next start needs to be told nothing.
// An option of the command line goes before the file.
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { writeFileDurably } from '@virga/host-agent/durable-file';
import type { Folders } from './folders.ts';
import { type LogLevel, logLevels } from './server-log.ts';

export const accelerations = ['auto', 'kvm', 'tcg'] as const;

export type ServerSettings = {
  /** `HOST:PORT` that the API listens on. */
  listen: string;
  libvirtSocket: string;
  acceleration: (typeof accelerations)[number];
  /** Where images and disks are. */
  storage: string;
  logLevel: LogLevel;
  /** What the host is called in the cloud, also when the machine gets another name. */
  hostName: string;
  /** How often it is written down what hosts and instances use; 0: never. */
  usagePeriodSeconds: number;
  /** Private networks that images may be downloaded from, such as of a mirror inside a company. */
  imageNetworks: string[];
  /** Largest file that is imported as an image, and that is made of it. */
  imageMaximumGib: number;
};

const isPath = (value: unknown) => typeof value === 'string' && value.startsWith('/');
const isOneOf = (choices: readonly string[]) => (value: unknown) => choices.includes(value as string);
const isPeriod = (value: unknown) =>
  Number.isInteger(value) && (value === 0 || ((value as number) >= 10 && (value as number) <= 3600));
const isNetworks = (value: unknown) => Array.isArray(value) && value.every(isNetwork);
const isNetwork = (value: unknown): boolean => {
  const [, address = '', length] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(String(value)) ?? [];
  const family = isIP(address);
  return family !== 0 && Number(length) <= (family === 4 ? 32 : 128);
};
const isGib = (value: unknown) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 16_384;
const checks: { [K in keyof ServerSettings]: [check: (value: unknown) => boolean, shape: string] } = {
  listen: [(value) => typeof value === 'string' && listenOf(value) !== undefined, 'an address like 127.0.0.1:8470'],
  libvirtSocket: [isPath, 'an absolute path'],
  acceleration: [isOneOf(accelerations), `one of ${accelerations.join(', ')}`],
  storage: [isPath, 'an absolute path'],
  logLevel: [isOneOf(logLevels), `one of ${logLevels.join(', ')}`],
  hostName: [(value) => typeof value === 'string' && value !== '', 'a name'],
  usagePeriodSeconds: [isPeriod, 'a number of seconds from 10 to 3600, or 0 for never'],
  imageNetworks: [isNetworks, 'a list of networks like ["10.20.0.0/16"]'],
  imageMaximumGib: [isGib, 'a number from 1 to 16384'],
};

export const settingsPath = (folders: Folders) => join(folders.state, 'settings.json');

const defaults = (folders: Folders): ServerSettings => ({
  listen: '127.0.0.1:8470',
  libvirtSocket: '/run/libvirt/libvirt-sock',
  acceleration: 'auto',
  storage: join(folders.state, 'storage'),
  logLevel: 'info',
  hostName: hostname(),
  usagePeriodSeconds: 60,
  imageNetworks: [],
  imageMaximumGib: 128,
});

/**
 * What is set; what is not set has its default.
 * @param given by options, which go before the file
 * @throws InvalidArgument an option or the file cannot be used
 */
export function readServerSettings(folders: Folders, given: Partial<ServerSettings> = {}): ServerSettings {
  const path = settingsPath(folders);
  let kept: object = {};
  if (existsSync(path)) {
    try {
      kept = JSON.parse(readFileSync(path, 'utf8'));
    } catch (cause) {
      throw unusable(path, 'is no JSON', cause);
    }
  }
  const settings: ServerSettings = { ...defaults(folders), ...kept, ...withoutUndefined(given) };
  for (const [name, value] of Object.entries(settings)) {
    const [check, shape] = Object.hasOwn(checks, name) ? checks[name as keyof ServerSettings] : [];
    if (!check) throw unusable(path, `has ${name}, which is no setting`);
    if (!check(value) && given[name as keyof ServerSettings] !== undefined) throw notAnOption(name, value, shape);
    if (!check(value)) throw unusable(path, `has ${JSON.stringify(value)} for ${name}, which has to be ${shape}`);
  }
  return settings;
}

export async function writeServerSettings(folders: Folders, settings: ServerSettings): Promise<void> {
  await writeFileDurably(settingsPath(folders), `${JSON.stringify(settings, undefined, 2)}\n`, 0o644);
}

export type Listen = { host: string; port: number };

/** @param text such as `127.0.0.1:8470` or `[::1]:8470` @throws InvalidArgument it is no address with a port */
export function parseListen(text: string): Listen {
  const listen = listenOf(text);
  if (listen) return listen;
  throw new VirgaError('InvalidArgument', {
    detail: `${JSON.stringify(text)} is no address to listen on.`,
    action: 'Give one like 127.0.0.1:8470.',
  });
}

function listenOf(text: string): Listen | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && port <= 65_535 ? { host, port } : undefined;
}

function withoutUndefined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function notAnOption(name: string, value: unknown, shape: string | undefined): VirgaError {
  const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  return new VirgaError('InvalidArgument', {
    detail: `${option} cannot be ${JSON.stringify(value)}.`,
    action: `Give ${shape}.`,
  });
}

function unusable(path: string, what: string, cause?: unknown): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail: `The settings file ${path} ${what}.`,
    action: 'Mend it, or take it away to have the defaults.',
    cause,
  });
}
