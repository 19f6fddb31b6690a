// Calls against libvirt's own test hypervisor: everything that needs no machine, only a daemon.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Connection } from '../connection/connect.ts';
import { InvalidValue, LibvirtError } from '../errors.ts';
import { connectForTest, uniqueName } from '../testing/daemon.ts';

let connection: Connection;

before(async () => {
  connection = await connectForTest('test:///default');
});

after(() => connection.close());

const domainXml = (name: string): string =>
  `<domain type='test'><name>${name}</name><memory>8192</memory><os><type>hvm</type></os></domain>`;

test('the host is described', async () => {
  const { node } = connection;
  const info = await node.info();
  assert.equal(info.model, 'i686');
  assert.equal(info.memoryKib, 3_145_728);
  assert.equal(info.threadsPerCore, 2);
  assert.deepEqual(await node.cpuMap(), { present: 8, online: [0, 2, 4] });
  assert.match(await node.capabilities(), /<capabilities>/);
  assert.equal(await node.hypervisorType(), 'TEST');
  assert.deepEqual(await node.hypervisorVersion(), { major: 0, minor: 0, release: 2 });
  assert.ok((await node.version()).major >= 8);
  assert.equal(await node.uri(), 'test:///default');
  assert.ok((await node.freeMemoryBytesByCell()).length > 0);
  assert.equal(await node.isSecure(), true);
});

test('a missing domain is a typed error whose stack leads to the caller', async function askForMissingDomain() {
  const error = await connection.domains.lookupByName('no-such-domain').catch((caught: unknown) => caught);
  assert.ok(error instanceof LibvirtError);
  assert.equal(error.code, 'NO_DOMAIN');
  assert.equal(error.codeNumber, 42);
  assert.equal(error.domain, 'TEST');
  assert.equal(error.level, 'error');
  assert.equal(error.procedure, 'domainLookupByName');
  assert.match(error.stack ?? '', /askForMissingDomain/);
});

test('a value that cannot be sent is refused before anything is sent', async () => {
  await assert.rejects(connection.domains.lookupByUuid('not-a-uuid'), InvalidValue);
  await assert.rejects(connection.domains.lookupByName('a\0b'), InvalidValue);
  await assert.rejects(connection.domains.lookupById(1.5), InvalidValue);
  await assert.rejects(connection.domains.defineXml('x'.repeat(4 * 2 ** 20 + 1)), InvalidValue);
  assert.ok((await connection.domains.list()).length > 0);
});

test('a domain is defined, found three ways, renamed and undefined', async () => {
  const { domains } = connection;
  const name = uniqueName();
  const domain = await domains.defineXml(domainXml(name));
  assert.deepEqual(await domains.lookupByName(name), domain);
  assert.deepEqual(await domains.lookupByUuid(domain.uuid.toUpperCase()), domain);
  const running = await domains.create(domain);
  assert.deepEqual(await domains.lookupById(running.id), running);
  assert.equal(await domains.isActive(domain), true);
  assert.equal(await domains.isPersistent(domain), true);
  await domains.destroy(domain);
  const renamed = uniqueName();
  await domains.rename(domain, renamed);
  await domains.undefine(await domains.lookupByName(renamed));
  await assert.rejects(domains.lookupByUuid(domain.uuid), { code: 'NO_DOMAIN' });
});

test('a text with every kind of character survives the way there and back', async () => {
  const { domains } = connection;
  const domain = await domains.defineXml(domainXml(uniqueName()));
  const title = 'Grüße, 世界, 🙂';
  await domains.setLabel(domain, 'title', title);
  assert.equal(await domains.getLabel(domain, 'title'), title);
  await domains.undefine(domain);
});

test('snapshots and checkpoints are made, listed, reverted to and deleted', async () => {
  const { domains } = connection;
  const domain = await domains.create(await domains.defineXml(domainXml(uniqueName())));
  const one = await domains.snapshotCreateXml(domain, '<domainsnapshot><name>one</name></domainsnapshot>');
  const two = await domains.snapshotCreateXml(domain, '<domainsnapshot><name>two</name></domainsnapshot>');
  assert.deepEqual((await domains.listSnapshots(domain)).map(({ name }) => name).sort(), ['one', 'two']);
  assert.equal((await domains.currentSnapshot(domain)).name, 'two');
  assert.equal((await domains.snapshotParent(two)).name, 'one');
  assert.match(await domains.snapshotXml(one), /<name>one<\/name>/);
  await domains.revertToSnapshot(one);
  await domains.deleteSnapshot(one, { children: true });
  await assert.rejects(domains.snapshotLookupByName(domain, 'one'), { code: 'NO_DOMAIN_SNAPSHOT' });
  assert.deepEqual(await domains.listCheckpoints(domain), []);
  await domains.destroy(domain);
  await domains.undefine(domain);
});

test('thousands of calls at once are all answered, each with its own answer', async () => {
  const { domains } = connection;
  const [first] = await domains.list();
  assert.ok(first);
  const names = Array.from({ length: 2000 }, (_, index) => (index % 2 === 0 ? first.name : `missing-${index}`));
  const answers = await Promise.allSettled(names.map((name) => domains.lookupByName(name)));
  answers.forEach((answer, index) => {
    if (index % 2 === 0) assert.equal(answer.status === 'fulfilled' && answer.value.uuid, first.uuid);
    else assert.equal(answer.status === 'rejected' && (answer.reason as LibvirtError).code, 'NO_DOMAIN');
  });
});

test('a read-only connection may look but not touch', async () => {
  await using readOnly = await connectForTest('test:///default', { readOnly: true });
  const [first] = await readOnly.domains.list();
  assert.ok(first);
  await assert.rejects(readOnly.domains.destroy(first), { code: 'OPERATION_DENIED' });
});

test('events reach several listeners, and none after they stopped listening', async () => {
  const { domains } = connection;
  const seen: string[] = [];
  const one = await domains.on('lifecycle', ({ event }) => seen.push(`one ${event}`));
  const two = await domains.on('lifecycle', ({ event }) => seen.push(`two ${event}`));
  const domain = await domains.defineXml(domainXml(uniqueName()));
  await domains.list();
  assert.deepEqual(seen, ['one defined', 'two defined']);
  await one.unsubscribe();
  await domains.create(domain);
  await domains.list();
  assert.deepEqual(seen.slice(2), ['two started']);
  await two.unsubscribe();
  await two.unsubscribe();
  await domains.destroy(domain);
  await domains.undefine(domain);
  await domains.list();
  assert.equal(seen.length, 3);
});

test('events come as an async iterator until it is told to end', async () => {
  const { domains } = connection;
  const abort = new AbortController();
  const events = domains.events(['lifecycle', 'metadata-change'], { signal: abort.signal });
  const first = events.next();
  await domains.list();
  const domain = await domains.defineXml(domainXml(uniqueName()));
  await domains.setLabel(domain, 'title', 'x');
  await domains.undefine(domain);
  const seen = [(await first).value];
  for await (const event of events) {
    seen.push(event);
    if (seen.length === 3) abort.abort();
  }
  assert.deepEqual(
    seen.map((event) => event && (event.kind === 'lifecycle' ? event.event : event.type)),
    ['defined', 'title', 'undefined'],
  );
});

test('two connections to one daemon see the same world', async () => {
  await using other = await connectForTest('test:///default');
  const domain = await connection.domains.defineXml(domainXml(uniqueName()));
  assert.deepEqual(await other.domains.lookupByUuid(domain.uuid), domain);
  await other.domains.undefine(domain);
});

test('networks are defined, started and described', async () => {
  const { networks } = connection;
  const name = uniqueName();
  const network = await networks.defineXml(`<network><name>${name}</name><bridge name='${name}'/></network>`);
  assert.deepEqual(await networks.lookupByName(name), network);
  assert.equal(await networks.isActive(network), false);
  await networks.create(network);
  assert.equal(await networks.bridgeName(network), name);
  await networks.setAutostart(network, true);
  assert.equal(await networks.getAutostart(network), true);
  await networks.destroy(network);
  await networks.undefine(network);
  await assert.rejects(networks.lookupByUuid(network.uuid), { code: 'NO_NETWORK' });
});

test('pools and volumes are listed, measured and described', async () => {
  const { storagePools, volumes } = connection;
  const [pool] = await storagePools.list({ active: true });
  assert.ok(pool);
  assert.equal((await storagePools.info(pool)).state, 'running');
  const name = uniqueName();
  const volume = await volumes.createXml(pool, `<volume><name>${name}</name><capacity>4096</capacity></volume>`);
  assert.deepEqual(await volumes.lookupByName(pool, name), volume);
  assert.deepEqual(await volumes.lookupByPath(await volumes.path(volume)), volume);
  assert.deepEqual(await volumes.lookupByKey(volume.key), volume);
  assert.deepEqual(await storagePools.lookupByVolume(volume), pool);
  assert.match(await volumes.xml(volume), /<capacity/);
  assert.ok((await volumes.list(pool)).some(({ key }) => key === volume.key));
  await volumes.delete(volume);
  await assert.rejects(volumes.lookupByName(pool, name), { code: 'NO_STORAGE_VOL' });
});

test('node devices are listed and described', async () => {
  const { nodeDevices } = connection;
  const devices = await nodeDevices.list();
  assert.ok(devices.length > 0);
  const computer = await nodeDevices.lookupByName('computer');
  assert.deepEqual(await nodeDevices.capabilities(computer), ['system']);
  assert.equal(await nodeDevices.parent(computer), undefined);
  assert.match(await nodeDevices.xml(computer), /<device>/);
});
