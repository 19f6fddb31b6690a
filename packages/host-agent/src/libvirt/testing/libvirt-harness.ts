// The libvirt agent for the contract suite, with guests of one boot sector in the libvirtd of the test run. What others do
// on the host goes past the agent, over a connection of its own.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostAgent } from '@virga/contract/agent/agent';
import { connect } from '@virga/libvirt/connection/connect';
import pino from 'pino';
import type { Harness, OpenHarness, Target } from '../../contract-suite/harness.ts';
import { startSocketRelay } from '../../contract-suite/socket-relay.ts';
import { greeting } from '../../contract-suite/tiny-guest.ts';
import { realHostSystem } from '../../host-system/host-system.ts';
import { redirectedSystem } from '../../host-system/testing/redirected-system.ts';
import { runCommand } from '../../run-command.ts';
import type { StepHook } from '../../step-hook.ts';
import { openLibvirtAgent } from '../libvirt-agent.ts';
import { storageSpace } from '../storage.ts';

const libvirtSocket = process.env.VIRGA_TEST_LIBVIRT_SOCKET ?? '/run/libvirt/libvirt-sock';

/**
 * @param octet a number from 1 to 254 that no other test file uses: its network is 10.77.OCTET.0/24
 * @param more asked for once the host is opened
 */
export const openLibvirtHarness =
  (octet: number, more: () => Pick<Harness, 'cephPlace'> = () => ({})): OpenHarness =>
  async (hook) => ({ ...(await open(octet, hook)), ...more() });

async function open(octet: number, hook: StepHook): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-libvirt-agent.'));
  // Small, so that it can be filled; and crossed by QEMU's user.
  await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=256m,mode=711', 'tmpfs', folder]);
  const ballast = join(folder, 'ballast');
  const relay = await startSocketRelay(join(folder, 'libvirt-sock'), libvirtSocket);
  const { domains, networks, close } = await connect({ transport: { kind: 'unix', path: libvirtSocket } });
  // What a repair of swappiness changes.
  const system = redirectedSystem(realHostSystem, join(folder, 'host'), [swappinessPath, '/etc/sysctl.d']);
  const agents: HostAgent[] = [];
  const openAgent = async () => {
    const agent = await openLibvirtAgent({
      socketPath: relay.path,
      storagePath: join(folder, 'storage'),
      // Where the room for saved memory is looked for, so that there can be none.
      savedMemoryPath: folder,
      acceleration: 'tcg',
      system,
      log: pino({ level: 'silent' }),
      hook,
    });
    agents.push(agent);
    return agent;
  };
  const find = ({ domainName }: Pick<Target, 'domainName'>) => domains.lookupByName(domainName);
  const name = `vt${randomBytes(5).toString('hex')}`;
  return {
    agent: await openAgent(),
    reopen: openAgent,
    network: { name, bridge: name, cidr: `10.77.${octet}.0/24`, gateway: `10.77.${octet}.1` },
    bootMark: greeting,
    diskBytes: async (target) => Number((await domains.blockInfo(await find(target), 'vda')).capacityBytes),
    virsh: {
      start: async (target) => void (await domains.create(await find(target))),
      shutdown: async (target) => domains.shutdown(await find(target), { mode: 'acpi' }),
      destroy: async (target) => domains.destroy(await find(target)),
      undefine: async (target) => domains.undefine(await find(target)),
      suspend: async (target) => domains.suspend(await find(target)),
      resume: async (target) => domains.resume(await find(target)),
      managedSave: async (target) => domains.managedSave(await find(target)),
      managedSaveRemove: async (target) => domains.removeManagedSave(await find(target)),
      rename: async (target, newName) => domains.rename(await find(target), newName),
      defineForeign: async (domainName) => void (await domains.defineXml(foreignXml(domainName))),
      undefineForeign: async (domainName) => {
        const domain = await find({ domainName });
        if (await domains.isActive(domain)) await domains.destroy(domain);
        await domains.undefine(domain);
      },
      edit: async (target, edit) => {
        const xml = await domains.xml(await find(target), { inactive: true, secure: true });
        await domains.defineXml(edit(xml));
      },
      attachWatchdog: async (target) =>
        domains.attachDevice(await find(target), "<watchdog model='i6300esb' action='pause'/>", { config: true }),
      pin: async (target, cpu) => {
        const domain = await find(target);
        await domains.pinVcpu(domain, 0, [cpu], { live: true });
        await domains.pinEmulator(domain, [cpu], { live: true });
      },
      weigh: async (target, capPercent) => {
        const domain = await find(target);
        const { cpu_shares: present } = await domains.getSchedulerParameters(domain, { live: true });
        const cap = { vcpuPeriodUs: 100_000, vcpuQuotaUs: capPercent * 1_000 };
        await domains.setSchedulerParameters(domain, { cpuShares: Number(present) * 3, ...cap }, { live: true });
      },
      startForeign: async (domainName) => void (await domains.create(await find({ domainName }))),
      removeReleased: async (target) => {
        const domain = await find(target);
        await domains.destroy(domain);
        await domains.undefine(domain);
        await rm(join(folder, 'storage', 'instances', target.id), { recursive: true });
      },
      networkDestroy: async (network) => networks.destroy(await networks.lookupByName(network.name)),
      networkUndefine: async (network) => networks.undefine(await networks.lookupByName(network.name)),
    },
    lifeOf: pidOf,
    breakSavedMemory: ({ domainName }) => writeFile(`/var/lib/libvirt/qemu/save/${domainName}.save`, 'broken'),
    crash: async ({ domainName }) => void process.kill(Number(await pidOf(domainName)), 'SIGKILL'),
    removeSeed: ({ id }) => rm(join(folder, 'storage', 'instances', id, 'seed.iso')),
    spoilSwappiness: () => system.replaceFile(swappinessPath, '60\n'),
    fillStorage: async () => {
      await writeFile(ballast, '');
      const { freeBytes } = await storageSpace({ path: folder });
      await runCommand('fallocate', ['--length', String(freeBytes), ballast]);
    },
    freeStorage: () => rm(ballast),
    beginOutage: relay.cut,
    endOutage: relay.restore,
    close: async () => {
      await Promise.all(agents.map((agent) => agent.close()));
      await close();
      await relay.close();
      await runCommand('umount', [folder]);
      await rm(folder, { recursive: true });
    },
  };
}

const swappinessPath = '/proc/sys/vm/swappiness';

const pidOf = (domainName: string) => readFile(`/run/libvirt/qemu/${domainName}.pid`, 'utf8');

const foreignXml = (name: string) => `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
</domain>`;
