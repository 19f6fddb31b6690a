// Verbs by which an instance comes and goes.
import { domainNamespace } from '@virga/host-agent/libvirt/instances/domain-metadata';
import { virsh } from '../libvirt-cloud.ts';
import { foreignDomain, foreignDomains, removeForeignDomains } from './foreign-domain.ts';
import { freshName, params, state, type VerbUnderFault } from './verb-under-fault.ts';

/** The domain is there as it was, and says nothing of us. */
async function isGivenBack(expected?: string): Promise<boolean> {
  const [name, ...others] = await foreignDomains();
  if (name === undefined || others.length > 0) return false;
  for (const which of [[], ['--inactive']]) {
    if ((await virsh('dumpxml', name, ...which)).includes(domainNamespace)) return false;
  }
  return expected === undefined || (await virsh('domstate', name)).trim() === expected;
}

export const wholeVerbs: readonly VerbUnderFault[] = [
  {
    name: 'adopt',
    creates: true,
    ask: async (client) => client.adoptInstance({ body: { domain: await foreignDomain() } }),
    holds: (it) => it?.state === 'running' && it.origin === 'adopted',
  },
  {
    name: 'release',
    make: async (client) => client.adoptInstance({ body: { domain: await foreignDomain() } }),
    ask: (client, it) => client.releaseInstance(params(it)),
    holds: async (it) => it === undefined && isGivenBack('running'),
    withoutMemory: async (it) => it === undefined && isGivenBack(),
    leavesDomains: 1,
    after: removeForeignDomains,
  },
  {
    name: 'launch',
    creates: true,
    ask: (client) =>
      client.launchInstance({
        body: { name: freshName('vm-launched'), image: 'guest', type: 'nano', network: 'default' },
      }),
    holds: state('running'),
  },
  {
    name: 'delete',
    ask: (client, it) => client.deleteInstance({ ...params(it), query: {} }),
    holds: (it) => it === undefined,
  },
];
