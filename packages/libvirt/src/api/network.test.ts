// Networks that really exist: a bridge, dnsmasq, and DHCP entries that change under way.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Connection } from '../connection/connect.ts';
import { connectForTest, uniqueName } from '../testing/daemon.ts';

let connection: Connection;

before(async () => {
  connection = await connectForTest('qemu:///system');
});

after(() => connection.close());

test('an isolated network runs, its DHCP entries change live and in the definition, and events tell', async () => {
  const { networks } = connection;
  const name = uniqueName();
  const seen: string[] = [];
  await using _ = await networks.on(({ network, event }) => {
    if (network.name === name) seen.push(event);
  });
  const network = await networks.defineXml(
    `<network><name>${name}</name><bridge name='${name}'/><ip address='10.213.77.1' netmask='255.255.255.0'><dhcp>
     <range start='10.213.77.10' end='10.213.77.20'/></dhcp></ip></network>`,
    { validate: true },
  );
  try {
    await networks.create(network);
    assert.equal(await networks.isActive(network), true);
    assert.equal(await networks.isPersistent(network), true);
    assert.equal(await networks.bridgeName(network), name);

    const host = "<host mac='52:54:00:00:00:01' name='one' ip='10.213.77.5'/>";
    const both = { live: true, config: true };
    await networks.update(network, { command: 'addLast', section: 'ipDhcpHost', xml: host }, both);
    assert.match(await networks.xml(network), /10\.213\.77\.5/);
    assert.match(await networks.xml(network, { inactive: true }), /10\.213\.77\.5/);
    await assert.rejects(networks.update(network, { command: 'addLast', section: 'ipDhcpHost', xml: host }, both), {
      code: 'OPERATION_INVALID',
    });
    await networks.update(network, { command: 'delete', section: 'ipDhcpHost', xml: host }, both);
    assert.doesNotMatch(await networks.xml(network), /10\.213\.77\.5/);
    assert.doesNotMatch(await networks.xml(network, { inactive: true }), /10\.213\.77\.5/);
    assert.deepEqual(await networks.dhcpLeases(network), []);
    await networks.destroy(network);
  } finally {
    await networks.undefine(network);
  }
  await networks.list();
  assert.deepEqual(seen, ['defined', 'started', 'stopped', 'undefined']);
});
