import type { InstanceId } from '@virga/contract/ids';
import type { Harness, Target } from '../contract-suite/harness.ts';
import { hostAgentContract } from '../contract-suite/host-agent-contract.ts';
import { openSimulatedAgent } from './simulated-agent.ts';

// Times that are short, yet let one thing happen while another is still going on.
const timings = {
  callMs: 0,
  folderMs: 1,
  rootDiskMs: 1,
  seedMs: 1,
  leasesMs: 1,
  defineMs: 1,
  startMs: 5,
  destroyMs: 5,
  guestShutdownMs: 40,
  networkMs: 1,
  imageMs: 5,
};

hostAgentContract('simulated', async (hook): Promise<Harness> => {
  const agent = openSimulatedAgent({ name: 'host-1', hook, timings });
  agent.setDiskCache('volatile');
  const on =
    (act: (id: InstanceId) => void) =>
    async ({ id }: Pick<Target, 'id'>): Promise<void> =>
      act(id);
  return {
    agent,
    reopen: async () => agent.reopen(),
    network: { name: 'contract', bridge: 'contract0', cidr: '10.77.0.0/24', gateway: '10.77.0.1' },
    cephPlace: { driver: 'rbd', monitors: ['192.0.2.1'], cephPool: 'virga', user: 'guests', key: '' },
    bootMark: '[boot ',
    keepMemory: ({ id }) => agent.keepMemory(true, id),
    makeBusy: ({ id }) => agent.setLoad(id, { cpus: 1 }),
    diskBytes: async ({ id }) => agent.diskSizeBytes(id),
    muteGuestAgent: ({ id }) => agent.muteGuestAgent(true, id),
    makeStubborn: ({ id }) => {
      agent.answerAcpi(false, id);
      agent.letGo(false, id);
    },
    virsh: {
      start: on(agent.startOutside),
      shutdown: on(agent.shutdownOutside),
      destroy: on(agent.destroyOutside),
      undefine: on(agent.undefineOutside),
      suspend: on(agent.suspendOutside),
      resume: on(agent.resumeOutside),
      managedSave: on(agent.saveOutside),
      managedSaveRemove: on(agent.removeSaveOutside),
      rename: async ({ id }, name) => agent.renameOutside(id, name),
      defineForeign: async (name) => agent.defineForeignDomain(name),
      undefineForeign: async (name) => agent.undefineForeignDomain(name),
      edit: async (target, edit) => agent.editOutside(target.id, edit),
      attachWatchdog: async ({ id }) =>
        agent.editOutside(
          id,
          (xml) => xml.replace('</devices>', "<watchdog model='i6300esb' action='pause'/></devices>"),
          'quietly',
        ),
      pin: async ({ id }, cpu) => agent.pinOutside(id, [cpu]),
      weigh: async ({ id }, capPercent) => agent.weighOutside(id, { shares: 300, capPercent }),
      startForeign: async (name) => agent.startForeignDomain(name),
      removeReleased: async (target) => agent.removeReleased(target.domainName, target.id),
      networkDestroy: async ({ id }) => agent.destroyNetworkOutside(id),
      networkUndefine: async ({ id }) => agent.undefineNetworkOutside(id),
    },
    lifeOf: async (name) => String(agent.bootsOf(name)),
    breakSavedMemory: on(agent.breakSave),
    crash: on(agent.crash),
    removeSeed: on(agent.removeSeedOutside),
    spoilSwappiness: async () =>
      agent.setTrouble('swappiness', {
        verdict: 'advice',
        seen: 'It is 60.',
        repair: [{ kind: 'value', path: '/proc/sys/vm/swappiness', now: '60', after: '10', why: 'For a test.' }],
      }),
    fillStorage: async () => agent.fillStorage(0),
    freeStorage: async () => agent.fillStorage(null),
    beginOutage: async () => agent.goUnreachable(),
    endOutage: async () => agent.comeBack(),
    close: () => agent.close(),
  };
});
