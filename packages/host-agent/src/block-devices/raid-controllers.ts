// What RAID controllers say of the caches behind their logical drives: asked with the vendor's program where one is installed.
// Owns which program for which driver, and nothing of the verdict. A program that fails or says what nobody understands is as
// good as none.
import type { BlockDevice } from '@virga/contract/agent/block-devices';
import type { HostSystem } from '../host-system/host-system.ts';
import { scsiAddress } from './block-devices.ts';
import type { ControllerAnswer, LogicalDrive } from './controller-answer.ts';
import { readMegacli } from './megacli.ts';
import { readSsacli } from './ssacli.ts';
import { readStorcli } from './storcli.ts';
import { firstInstalled, placesOf } from './vendor-program.ts';

export interface ControllerAnswers {
  /** What is known of a logical drive, by the name that the kernel has for it. */
  of(device: string): ControllerAnswer | undefined;
  /** Whether controllers of this driver have told of any drive: then one that they do not know is passed through. */
  haveTold(driver: string): boolean;
}

const storcli = placesOf(
  ['storcli64', 'storcli', 'perccli64', 'perccli'],
  ['/opt/MegaRAID/storcli', '/opt/MegaRAID/perccli'],
);
const megacli = placesOf(['MegaCli64', 'megacli64', 'MegaCli', 'megacli'], ['/opt/MegaRAID/MegaCli']);
const ssacli = placesOf(
  ['ssacli', 'hpssacli', 'hpacucli'],
  ['/opt/smartstorageadmin/ssacli/bin', '/opt/hp/hpssacli/bin'],
);

const hpDrivers = ['hpsa', 'smartpqi', 'cciss'];

/** Such a program looks at every disk of every enclosure, and hangs when a controller does. */
const timeoutMs = 20_000;

export async function askControllers(system: HostSystem, devices: readonly BlockDevice[]): Promise<ControllerAnswers> {
  const drivers = new Set(devices.map(({ controller }) => controller));
  const answers = new Map<string, ControllerAnswer>();
  const told = new Set<string>();
  const note = (drives: readonly LogicalDrive[], by: readonly string[]) => {
    for (const { device, ...answer } of drives) answers.set(device, answer);
    if (drives.length > 0) for (const driver of by) told.add(driver);
  };
  if (drivers.has('megaraid_sas')) note(await askMegaRaid(system, devices), ['megaraid_sas']);
  if (hpDrivers.some((driver) => drivers.has(driver))) {
    const program = await firstInstalled(system, ssacli);
    const text = program && (await ask(system, program, ['ctrl', 'all', 'show', 'config', 'detail']));
    if (text) note(readSsacli(text), hpDrivers);
  }
  return { of: (device) => answers.get(device), haveTold: (driver) => told.has(driver) };
}

async function askMegaRaid(system: HostSystem, devices: readonly BlockDevice[]): Promise<LogicalDrive[]> {
  const program = await firstInstalled(system, storcli);
  if (program !== undefined) {
    const [drives, controllers] = await Promise.all([
      ask(system, program, ['/call/vall', 'show', 'all', 'J', 'nolog']),
      ask(system, program, ['/call', 'show', 'all', 'J', 'nolog']),
    ]);
    const found = drives && controllers ? readStorcli(drives, controllers) : [];
    if (found.length > 0) return found;
  }
  const older = await firstInstalled(system, megacli);
  if (older === undefined) return [];
  const [drives, batteries] = await Promise.all([
    ask(system, older, ['-LDInfo', '-Lall', '-aALL', '-NoLog']),
    ask(system, older, ['-AdpBbuCmd', '-GetBbuStatus', '-aALL', '-NoLog']),
  ]);
  // It names drives by adapter and target, in the order in which the kernel found the adapters.
  const behind = devices.filter(({ controller }) => controller === 'megaraid_sas');
  const placed = await Promise.all(
    behind.map(async ({ name }) => ({ name, address: await scsiAddress(system, name) })),
  );
  const hosts = [...new Set(placed.map(({ address }) => address?.host ?? -1))].sort((a, b) => a - b);
  const deviceAt = (adapter: number, target: number) =>
    placed.find(
      ({ address }) => address !== undefined && hosts.indexOf(address.host) === adapter && address.target === target,
    )?.name;
  return drives ? readMegacli(drives, batteries ?? '', deviceAt) : [];
}

const ask = (system: HostSystem, program: string, args: string[]): Promise<string | undefined> =>
  system.run(program, args, { timeoutMs }).catch(() => undefined);
