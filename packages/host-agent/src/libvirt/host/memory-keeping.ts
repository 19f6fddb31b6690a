// The memory of this host's guests: what libvirt knows of each, what the kernel tells of its process, and the balloon that a
// guest lends memory by. A loan is in the running domain only: what the instance is to have, its record says, and the next start
// is from a fresh definition. Keeps nothing.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { GuestMemory, MemoryKeeping } from '@virga/contract/agent/host-memory';
import type { DomainStatistics } from '@virga/libvirt/api/domain/statistics';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { readHostMemory } from '../../host-memory/host-memory.ts';
import { readProcessMemory, readSharedMapping } from '../../host-memory/process-memory.ts';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { findById, readRecord } from '../instances/domain-lookup.ts';
import { type LiveMemory, readLiveMemory } from '../instances/live-memory.ts';
import { templateFiles } from '../warm/template-store.ts';

const kibPerMib = 1024;
const pidFolder = '/run/libvirt/qemu';

export function memoryKeeping(context: AgentContext): MemoryKeeping {
  return {
    async hostMemory(cloudId) {
      const [host, domains] = await Promise.all([
        readHostMemory(context.system),
        context.hypervisor.ask('measure the memory of the guests', (connection) => runningOf(connection, cloudId)),
      ]);
      return { ...host, guests: await Promise.all(domains.map((domain) => measure(context, domain))) };
    },

    async lendMemory(id, memoryMib) {
      return context.locks.run(id, () =>
        context.hypervisor.act(`ask the guest of ${id} for memory`, async (connection) => {
          const ref = await findById(connection, id);
          const record = ref && (await readRecord(connection, ref));
          if (!ref || record?.desired.origin !== 'launched' || !(await connection.domains.isActive(ref))) return false;
          const memory = await readLiveMemory(connection, ref);
          if (memory === undefined || !memory.hasBalloon) return false;
          const most = balloonMostMib(record.desired, memory);
          const balloonMib = Math.min(most, Math.max(1, memoryMib - memory.pluggedMib));
          await context.hook('lend-memory', id);
          await connection.domains.setMemory(ref, balloonMib * kibPerMib, { live: true });
          return true;
        }),
      );
    },
  };
}

type Running = {
  ref: DomainRef;
  desired: DesiredInstance;
  memory: LiveMemory;
  measures: DomainStatistics['parameters'];
};

async function runningOf(connection: Connection, cloudId: string): Promise<Running[]> {
  const measured = await connection.domains.stats({ groups: ['state', 'balloon'], active: true, noWait: true });
  const found = await Promise.all(
    measured.map(async ({ domain: ref, parameters }): Promise<Running | undefined> => {
      try {
        const [record, memory] = await Promise.all([readRecord(connection, ref), readLiveMemory(connection, ref)]);
        if (record?.cloudId !== cloudId || memory === undefined) return undefined;
        return { ref, desired: record.desired, memory, measures: parameters };
      } catch (error) {
        // It went off meanwhile.
        if (isLibvirtError(error, 'NO_DOMAIN')) return undefined;
        throw error;
      }
    }),
  );
  return found.filter((domain) => domain !== undefined);
}

async function measure(context: AgentContext, { ref, desired, memory, measures }: Running): Promise<GuestMemory> {
  const { system, storage } = context;
  const pid = Number((await system.read(`${pidFolder}/${ref.name}.pid`))?.trim() ?? Number.NaN);
  const known = (name: string): number | null => (measures[name] === undefined ? null : Number(measures[name]));
  const own = Number.isNaN(pid) ? null : await readProcessMemory(system, pid);
  const template = desired.warm && !Number.isNaN(pid) ? templateFiles(storage, desired.warm.templateId).memory : null;
  const shared = template === null ? null : await readSharedMapping(system, pid, template);
  // A guest that began cold has no memory in common with a template; of a process that cannot be read nothing is known.
  const nothing = own === null || template !== null ? null : 0;
  return {
    id: desired.id,
    cloudId: desired.cloudId,
    promisedKib: (balloonMostMib(desired, memory) + memory.pluggedMib) * kibPerMib,
    currentKib: known('balloon.current') ?? memory.currentMib * kibPerMib,
    residentKib: own?.residentKib ?? null,
    usableKib: known('balloon.usable'),
    hugePagesKib: own?.hugePagesKib ?? 0,
    templateSharedKib: shared?.sharedKib ?? nothing,
    templateSavedKib: shared?.savedKib ?? nothing,
    mergedKib: own?.mergedKib ?? null,
    // Older kernels do not tell, and then it is as QEMU was told.
    mergeable: own?.mergeable ?? memory.isShareable,
    hasBalloon: memory.hasBalloon,
  };
}

/** Without what is plugged in: what the balloon can give back, and the instance is to have. */
const balloonMostMib = ({ memoryMib }: Pick<DesiredInstance, 'memoryMib'>, { bootedMib }: LiveMemory): number =>
  Math.min(memoryMib, bootedMib);
