// Verbs that change how the vCPUs of a running guest run: on CPUs of its own, on those of all, weighed and capped.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { Instance } from '@virga/contract/rest/instances';
import { virsh } from '../libvirt-cloud.ts';
import { params, type Step, says, type VerbUnderFault } from './verb-under-fault.ts';

/** More would be all CPUs of a small host, of which some have to be anybody's. */
const single: Step = async (client, it) =>
  it.vcpus === 1 ? undefined : client.resizeInstance({ ...params(it), body: { vcpus: 1, restart: true } });
const policy =
  (wanted: 'shared' | 'dedicated'): Step =>
  async (client, it) =>
    it.cpu.policy === wanted ? undefined : client.changeCpu({ ...params(it), body: { policy: wanted } });

const hasTwo = ({ cpus }: HostFacts) => cpus.length >= 2;

/** As virsh shows it: a CPU, or a list of them. */
const placeOf = async ({ domainName }: Instance): Promise<string | undefined> =>
  /^\s*0\s+(\S+)/m.exec(await virsh('vcpupin', domainName))?.[1];

const isOnItsOwn = async (it: Instance | undefined): Promise<boolean> =>
  it?.state === 'running' && it.cpu.policy === 'dedicated' && (await placeOf(it)) === it.cpu.hostCpus.join();
const isAnywhere = async (it: Instance | undefined): Promise<boolean> =>
  it?.state === 'running' && it.cpu.policy === 'shared' && /[-,]/.test((await placeOf(it)) ?? '');

const otherCap = ({ cpu }: Instance) => (cpu.capPercent === 50 ? 60 : 50);

export const cpuVerbs: readonly VerbUnderFault[] = [
  {
    name: 'CPUs of its own',
    needs: hasTwo,
    before: [single, policy('shared')],
    ask: (client, it) => client.changeCpu({ ...params(it), body: { policy: 'dedicated' } }),
    holds: isOnItsOwn,
  },
  {
    name: 'the CPU that was chosen for it',
    needs: hasTwo,
    before: [single],
    ask: (client, it) => client.pinInstance({ ...params(it), body: { cpus: [it.cpu.hostCpus[0] === 1 ? 0 : 1] } }),
    holds: isOnItsOwn,
  },
  {
    name: 'CPUs that all share',
    needs: hasTwo,
    before: [single, policy('dedicated')],
    ask: (client, it) => client.changeCpu({ ...params(it), body: { policy: 'shared' } }),
    holds: isAnywhere,
  },
  {
    name: 'weight and cap of its CPUs',
    needs: ({ features }) => features.includes('cpu-limits'),
    before: [single, policy('shared')],
    ask: (client, it) => client.changeCpu({ ...params(it), body: { shares: 200, capPercent: otherCap(it) } }),
    holds: async (it) =>
      it !== undefined && says(['schedinfo', it.domainName], `vcpu_quota     : ${it.cpu.capPercent}000\n`),
  },
];
