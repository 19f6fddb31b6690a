// People use virsh beside Virga. What is deliberate is adopted, what is loss is repaired, what is somebody else's is left
// alone: docs/decisions/0002-outside-changes.md.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Instance } from '@virga/contract/rest/instances';
import { greeting } from '@virga/host-agent/contract-suite/tiny-guest';
import { until } from '@virga/testing/until';
import { type LibvirtCloud, launchOne, openLibvirtCloud, virsh } from './libvirt-cloud.ts';

const seenWithinMs = 2_000;

let setting: LibvirtCloud;
before(async () => {
  setting = await openLibvirtCloud();
});
after(() => setting?.close());

type OutsideAct = {
  virsh: string[];
  event: string;
  /** What Virga makes of it. */
  outcome: string;
  holds: (instance: Instance) => boolean | Promise<boolean>;
};

const outsideActs: OutsideAct[] = [
  {
    virsh: ['destroy'],
    event: 'instance.repaired',
    outcome: 'started again',
    holds: ({ state, desiredState }) => state === 'running' && desiredState === 'running',
  },
  {
    virsh: ['undefine'],
    event: 'instance.repaired',
    outcome: 'defined again',
    holds: async ({ state, domainName }) => state === 'running' && (await isPersistent(domainName)),
  },
  {
    virsh: ['suspend'],
    event: 'instance.paused-outside',
    outcome: 'paused for good',
    holds: ({ state, desiredState }) => state === 'paused' && desiredState === 'paused',
  },
  {
    virsh: ['resume'],
    event: 'instance.resumed-outside',
    outcome: 'running for good',
    holds: ({ state, desiredState }) => state === 'running' && desiredState === 'running',
  },
  {
    virsh: ['managedsave'],
    event: 'instance.hibernated-outside',
    outcome: 'hibernated for good',
    holds: ({ state, desiredState }) => state === 'hibernated' && desiredState === 'hibernated',
  },
  {
    virsh: ['start'],
    event: 'instance.started-outside',
    outcome: 'woken for good',
    holds: ({ state, desiredState }) => state === 'running' && desiredState === 'running',
  },
  {
    virsh: ['shutdown'],
    event: 'instance.stopped-outside',
    outcome: 'stopped for good',
    holds: ({ state, desiredState }) => state === 'stopped' && desiredState === 'stopped',
  },
  {
    virsh: ['undefine'],
    event: 'instance.repaired',
    outcome: 'defined again, and still stopped',
    holds: async ({ state, domainName }) => state === 'stopped' && (await isPersistent(domainName)),
  },
  {
    virsh: ['start'],
    event: 'instance.started-outside',
    outcome: 'running for good',
    holds: ({ state, desiredState }) => state === 'running' && desiredState === 'running',
  },
];

test('what virsh does to an instance is seen within two seconds, and adopted or repaired', async (t) => {
  const { client } = setting.cloud;
  const instance = await launchOne(setting);
  const { id, domainName } = instance;
  const read = () => client.getInstance({ params: { id } });
  const events = async () => (await client.listEvents({ query: { resourceId: id, order: 'newest', limit: 5 } })).items;
  // What is done to a domain that Virga is just defining is repaired with that, and is nothing to tell of.
  const isApplied = async () =>
    (await virsh('dumpxml', domainName)).includes(`generation="${(await read()).generation}"`);
  for (const { virsh: command, event, outcome, holds } of outsideActs) {
    await until(`Virga has done its part before virsh ${command[0]}`, isApplied);
    const known = new Set((await events()).map(({ cursor }) => cursor));
    const before = await read();
    const isReported = async () => (await events()).some(({ cursor, type }) => !known.has(cursor) && type === event);
    await virsh(...command, domainName);
    const done = performance.now();
    const sinceMs = () => Math.round(performance.now() - done);
    await until(
      `virsh ${command[0]} is seen`,
      async () => (await read()).observedState !== before.observedState || (await isReported()),
    );
    const seenMs = sinceMs();
    await until(`${event} after virsh ${command[0]}`, isReported);
    await until(`${outcome} after virsh ${command[0]}`, async () => holds(await read()));
    t.diagnostic(`virsh ${command[0]}: seen after ${seenMs} ms, ${outcome} after ${sinceMs()} ms`);
    assert.ok(seenMs <= seenWithinMs, `virsh ${command[0]} was seen after ${seenMs} ms`);
  }
});

test('an instance that virsh renamed is called as before again, also when the server was away', async () => {
  const { cloud, ledger } = setting;
  const { id, domainName } = await launchOne(setting);
  const { operationId } = await cloud.client.stopInstance({ params: { id }, body: { timeoutSeconds: 0 } });
  await cloud.client.getOperation({ params: { id: operationId }, query: { waitSeconds: 30 } });
  const isCalled = (name: string) => virsh('domuuid', name).then(Boolean, () => false);
  await virsh('domrename', domainName, 'another');
  await until('it is called as before', () => isCalled(domainName));
  await cloud.kill();
  await virsh('domrename', domainName, 'another');
  await cloud.start();
  await until('it is called as before', () => isCalled(domainName));
  await cloud.client.startInstance({ params: { id } });
  await ledger.settle();
});

test('a guest that was saved by a host that went down is woken where it was', async () => {
  const { cloud, hypervisor, ledger } = setting;
  const { id, domainName } = await launchOne(setting);
  const boots = async () => {
    const { text } = await cloud.client.getConsoleLog({ params: { id }, query: {} });
    return text.split(greeting.trim()).length - 1;
  };
  await until('it has booted', async () => (await boots()) === 1);
  await cloud.kill();
  await virsh('managedsave', domainName);
  await hypervisor.stop();
  await hypervisor.start();
  await cloud.start();
  await until('it is woken', async () => /^running/.test(await virsh('domstate', domainName)));
  await ledger.settle();
  assert.equal(await boots(), 1);
});

test('an instance that virsh undefined and destroyed comes back from its disk', async (t) => {
  const { ledger } = setting;
  const { domainName } = await launchOne(setting);
  await virsh('undefine', domainName);
  await virsh('destroy', domainName);
  const gone = performance.now();
  await until('it is running and defined', () => isPersistent(domainName).catch(() => false));
  await ledger.settle();
  t.diagnostic(`back after ${Math.round(performance.now() - gone)} ms`);
  assert.deepEqual(await ledger.judge(), { lost: [], leaked: [], duplicated: [] });
});

test('a domain of somebody else is never touched', async () => {
  const { cloud, folder, ledger } = setting;
  const xml = join(folder, 'foreign.xml');
  const os = '<os><type>hvm</type></os>';
  writeFileSync(xml, `<domain type='qemu'><name>foreign</name><memory unit='MiB'>64</memory>${os}</domain>`);
  await virsh('define', xml);
  await cloud.kill();
  await cloud.start();
  for (const entry of ledger.living) await ledger.delete(entry);
  await ledger.settle();
  assert.deepEqual(await ledger.judge(), { lost: [], leaked: [], duplicated: [] });
  assert.equal((await virsh('list', '--all', '--name')).trim(), 'foreign');
  await virsh('undefine', 'foreign');
});

async function isPersistent(domainName: string): Promise<boolean> {
  return /^Persistent:\s+yes$/m.test(await virsh('dominfo', domainName));
}
