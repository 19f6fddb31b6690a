// Domains of somebody else, on a real libvirt: which are told of, and what becomes of the definition of one that is adopted.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { openTestHost, type TestHost } from './testing/test-host.ts';
import { shellElement } from './warm/shell-record.ts';

let host: TestHost;
before(async () => {
  host = await openTestHost(63);
});
after(() => host.close());

const uniqueName = () => `vt${randomBytes(5).toString('hex')}`;

/** A domain as virt-manager makes one, with a title and a note of its own. */
async function foreignDomain(metadata = '<app:note xmlns:app="urn:example:app">theirs</app:note>'): Promise<DomainRef> {
  return host.outside.domains.defineXml(`<domain type='qemu'>
    <name>${uniqueName()}</name><title>Theirs</title><metadata>${metadata}</metadata>
    <memory unit='MiB'>32</memory><vcpu>2</vcpu>
    <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os>
    <features><acpi/></features><on_crash>destroy</on_crash>
    <devices><graphics type='vnc' passwd='secret'/></devices>
  </domain>`);
}

async function adopted(ref: DomainRef): Promise<DesiredInstance> {
  const found = await host.agent.inspectForeignDomain(host.cloudId, ref.uuid);
  assert.deepEqual([found.name, found.vcpus, found.memoryMib, found.firmware], [ref.name, 2, 32, 'uefi']);
  const { uuid, name: domainName, vcpus, memoryMib } = found;
  const desired: DesiredInstance = {
    ...host.instance(host.network(), 'ami-00000000000000000', { vcpus, memoryMib }),
    ...{ uuid, domainName, nics: [], origin: 'adopted' },
    power: { state: 'stopped', forceAt: new Date().toISOString() },
  };
  const observed = await host.agent.applyInstance(desired);
  assert.deepEqual([observed.state, observed.intact, observed.adopted], ['stopped', true, true]);
  return desired;
}

const definitionOf = async (ref: DomainRef) =>
  (await host.outside.domains.xml(ref, { inactive: true, secure: true }))
    .replace(/<virga:instance.*<\/virga:instance>/s, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort();

test('what waits to become an instance is nobody’s to adopt', async () => {
  const says = { cloudId: host.cloudId, templateId: 'tmpl-00000000000000000', instanceId: null } as const;
  const shell = await foreignDomain(shellElement({ ...says, phase: 'waiting' }));
  const foreign = await foreignDomain();
  try {
    const names = (await host.agent.listForeignDomains()).map(({ name }) => name);
    assert.deepEqual([names.includes(shell.name), names.includes(foreign.name)], [false, true]);
    await assert.rejects(host.agent.inspectForeignDomain(host.cloudId, shell.name), { code: 'Conflict' });
  } finally {
    for (const ref of [shell, foreign]) await host.outside.domains.undefine(ref, { nvram: true });
  }
});

test('the definition of an adopted domain stays as it came, but for what is asked for', async () => {
  const ref = await foreignDomain();
  const original = await definitionOf(ref);
  const desired = await adopted(ref);
  assert.deepEqual(await definitionOf(ref), original);

  const { effective } = await host.agent.definition(desired.id);
  assert.match(effective, /passwd='secret'/);
  const xml = effective.replace('<on_crash>destroy', '<on_crash>restart').replace('Theirs', 'Still theirs');
  const { overlay } = await host.agent.planOverlay(desired, { xml });
  await host.agent.applyInstance({ ...desired, generation: 2, overlay });
  const edited = await definitionOf(ref);
  assert.deepEqual(
    edited.filter((line) => !original.includes(line)),
    ['<on_crash>restart</on_crash>', '<title>Still theirs</title>'],
  );
  await host.agent.applyInstance({ ...desired, generation: 3 });
  assert.deepEqual(await definitionOf(ref), original);
  await host.agent.deleteInstance(desired);
  await assert.rejects(host.agent.inspectForeignDomain(host.cloudId, ref.uuid), { code: 'NotFound' });
});

test('what somebody makes of an adopted domain is kept or taken back, without its passwords being shown', async () => {
  const ref = await foreignDomain();
  const original = await definitionOf(ref);
  const desired = await adopted(ref);
  const change = async () => {
    const xml = await host.outside.domains.xml(ref, { inactive: true, secure: true });
    await host.outside.domains.defineXml(xml.replace('<on_crash>destroy', '<on_crash>restart'));
    const { drift } = await host.agent.applyInstance({ ...desired, generation: 2 });
    assert.match(drift?.diff ?? '', /\+ +<on_crash>restart/);
    assert.doesNotMatch(drift!.diff, /secret/);
    return drift!;
  };
  const { hash, overlay } = await change();
  await host.agent.applyInstance({ ...desired, generation: 2, settledDrift: hash, overlay });
  assert.ok((await definitionOf(ref)).includes('<on_crash>restart</on_crash>'));
  await host.agent.applyInstance({ ...desired, generation: 3 });
  assert.deepEqual(await definitionOf(ref), original);

  await host.outside.domains.undefine(ref, { nvram: true });
  const back = await host.agent.applyInstance({ ...desired, generation: 3 });
  assert.deepEqual([back.state, back.intact], ['stopped', true]);
  assert.deepEqual(await definitionOf(ref), original);
  await host.agent.releaseInstance(desired);
  assert.deepEqual(await definitionOf(ref), original);
  await host.outside.domains.undefine(ref, { nvram: true });
});
