// Whether what a disk has acknowledged outlives a power cut, from what the disk says itself: the kernel's view of its cache,
// the identity of an NVMe controller, or the RAID controller that it is behind. Owns the verdict; how RAID controllers are
// asked is raid-controllers.ts. What cannot be asked is unknown, never safe.
import type { BlockDevice, HostDisk, PowerLossProtection, Reading } from '@virga/contract/agent/block-devices';
import type { HostSystem } from '../host-system/host-system.ts';
import { blockDevices, writeCacheSources } from './block-devices.ts';
import { askControllers, type ControllerAnswers } from './raid-controllers.ts';
import { firstInstalled } from './vendor-program.ts';

const nvmePrograms = ['/usr/sbin/nvme', '/usr/bin/nvme', '/sbin/nvme'];
/** The bit of "Volatile Write Cache" that says there is one. @see NVM Express Base Specification, Identify Controller */
const cachePresent = 1;
/** @see OCP Datacenter NVMe SSD Specification, SMART / Health Information Extended (C0h) */
const noCapacitor = 0xffff;

/** Every disk of the host with its verdict. Asks programs of vendors where they are installed, which takes seconds. */
export async function protectedDisks(system: HostSystem): Promise<HostDisk[]> {
  const devices = await blockDevices(system);
  const controllers = await askControllers(system, devices);
  return Promise.all(
    devices.map(async (device) => ({ ...device, protection: await protectionOf(system, device, controllers) })),
  );
}

async function protectionOf(
  system: HostSystem,
  device: BlockDevice,
  controllers: ControllerAnswers,
): Promise<PowerLossProtection> {
  const read = await writeCacheSources(system, device.name);
  if (device.controller !== null) return behindController(device, device.controller, read, controllers);
  if (device.class === 'virtual') return shownByHypervisor(device, read);
  if (device.class === 'nvme') return nvme(system, device, read);
  return byCache(device, read);
}

const safe = (why: string, read: Reading[]): PowerLossProtection => ({
  verdict: 'safe',
  why,
  read,
  allowsWriteback: true,
});
const volatile = (why: string, read: Reading[]): PowerLossProtection => ({
  verdict: 'volatile',
  why,
  read,
  allowsWriteback: false,
});
/** What says that it caches writes, and nothing of what keeps them, is trusted as little as what says that nothing does. */
const unknown = (why: string, read: Reading[], { writeCache }: BlockDevice): PowerLossProtection => ({
  verdict: 'unknown',
  why,
  read,
  allowsWriteback: writeCache !== 'write back',
});

const from = (read: readonly Reading[]): string =>
  read.map(({ from: place, value }) => `${place}: ${value}`).join('; ');

function byCache(device: BlockDevice, read: Reading[]): PowerLossProtection {
  const { name } = device;
  if (device.writeCache === 'write through')
    return safe(`${name} reports no volatile write cache (${from(read)}).`, read);
  if (device.writeCache === null) return unknown(`${name} says nothing of a write cache.`, read, device);
  return volatile(
    `${name} reports a volatile write cache, and nothing that would keep it through a power cut (${from(read)}).`,
    read,
  );
}

function shownByHypervisor(device: BlockDevice, read: Reading[]): PowerLossProtection {
  const { name, writeCache } = device;
  return unknown(
    writeCache === 'write back'
      ? `${name} is shown by a hypervisor and reports a write cache (${from(read)}); what keeps that cannot be seen from here.`
      : `${name} is shown by a hypervisor; what is below it cannot be seen from here.`,
    read,
    device,
  );
}

function behindController(
  device: BlockDevice,
  driver: string,
  read: Reading[],
  controllers: ControllerAnswers,
): PowerLossProtection {
  const { name } = device;
  const answer = controllers.of(name);
  // What a controller passes through as it is answers for itself.
  if (answer === undefined && controllers.haveTold(driver)) return byCache(device, read);
  if (answer === undefined) {
    return unknown(
      `${name} is behind a RAID controller (${driver}) of which nothing is known: storcli, perccli, megacli or ssacli ask it, where one is installed and answers.`,
      read,
      device,
    );
  }
  const all = [...read, ...answer.read];
  const { writeBack, battery, diskCache } = answer;
  if (diskCache === 'on') {
    return volatile(
      `The disks behind ${name} have their own write caches on, which no battery keeps (${from(answer.read)}).`,
      all,
    );
  }
  if (writeBack && battery !== 'good') {
    const what = battery === 'none' ? 'has no battery for it' : 'has a battery that is not good';
    return volatile(`The controller of ${name} caches writes and ${what} (${from(answer.read)}).`, all);
  }
  if (diskCache === 'unknown') {
    return unknown(
      `Whether the disks behind ${name} have their own write caches on is left to them (${from(answer.read)}); turn them off to be sure.`,
      all,
      // The controller does not tell the kernel of their caches.
      { ...device, writeCache: 'write back' },
    );
  }
  return safe(
    writeBack
      ? `The write cache of the controller of ${name} is kept by a battery or capacitor that is good, and the caches of its disks are off (${from(answer.read)}).`
      : `The controller of ${name} caches no writes, and the caches of its disks are off (${from(answer.read)}).`,
    all,
  );
}

async function nvme(system: HostSystem, device: BlockDevice, read: Reading[]): Promise<PowerLossProtection> {
  const { name } = device;
  const program = await firstInstalled(system, nvmePrograms);
  if (program === undefined) return byCache(device, read);
  const node = `/dev/${name}`;
  const identity = readJson(await ask(system, program, ['id-ctrl', node, '-o', 'json']));
  const vwc = identity?.vwc;
  if (typeof vwc !== 'number') return byCache(device, read);
  const all = [...read, { from: `nvme id-ctrl ${node}`, value: `vwc ${vwc}` }];
  if ((vwc & cachePresent) === 0) return safe(`${name} has no volatile write cache (${from(all.slice(-1))}).`, all);
  const feature = await ask(system, program, ['get-feature', node, '-f', '6']);
  const isOn = /current value:\s*(?:0x)?([0-9a-f]+)/i.exec(feature ?? '')?.[1];
  if (isOn !== undefined) {
    all.push({ from: `nvme get-feature ${node} -f 6`, value: isOn });
    if (Number.parseInt(isOn, 16) === 0)
      return safe(`The write cache of ${name} is turned off (${from(all.slice(-1))}).`, all);
  }
  const health = readJson(await ask(system, program, ['ocp', 'smart-add-log', node, '-o', 'json']));
  const capacitor = health?.['Capacitor health'] ?? health?.capacitor_health;
  if (typeof capacitor === 'number' && capacitor > 0) {
    all.push({ from: `nvme ocp smart-add-log ${node}`, value: `capacitor health ${capacitor}` });
    if (capacitor !== noCapacitor) {
      return safe(`The write cache of ${name} is kept by a capacitor that is good (${from(all.slice(-1))}).`, all);
    }
  }
  return volatile(
    `${name} has a volatile write cache, and reports nothing that would keep it through a power cut (${from(all.slice(-1))}).`,
    all,
  );
}

/** What it says; undefined when it has nothing to say of this device. */
const ask = (system: HostSystem, program: string, args: string[]): Promise<string | undefined> =>
  system.run(program, args, { timeoutMs: 10_000 }).catch(() => undefined);

function readJson(text: string | undefined): Record<string, unknown> | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>);
  } catch {
    return undefined;
  }
}
