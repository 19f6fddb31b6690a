// What is no instance yet, a template or a copy that waits, leaves CPUs that become somebody's own, as instances do.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { openTestHost, type TestHost } from './testing/test-host.ts';
import { shellElement } from './warm/shell-record.ts';

let host: TestHost;
before(async () => {
  host = await openTestHost(67);
});
after(() => host.close());

test('a template and a waiting copy leave a CPU that is dedicated, and may come back to it', async (t) => {
  const { agent, cloudId, outside } = host;
  const { cpus } = await agent.facts();
  const all = cpus.map(({ id }) => id);
  const second = all[1]!;
  const pools = { reserved: [], dedicated: [], guestModel: null };
  t.after(() => agent.applyCpuPools(cloudId, pools));
  const copies = await Promise.all(
    [null, newId('instance')].map(async (instanceId) => {
      const record = { cloudId, templateId: newId('template'), instanceId, phase: 'waiting' as const };
      const ref = await outside.domains.createXml(
        `<domain type='qemu'><name>spare-${randomUUID()}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
         <os><type machine='q35'>hvm</type></os><metadata>${shellElement(record)}</metadata></domain>`,
        { paused: true },
      );
      t.after(() => outside.domains.destroy(ref));
      return ref;
    }),
  );
  const places = async () => {
    const { guests } = await agent.cpuMap(50);
    const threads = guests.filter(({ domainName }) => copies.some(({ name }) => name === domainName));
    assert.equal(threads.length, 2);
    return threads.flatMap((guest) => guest.threads.map(({ allowedCpus }) => allowedCpus));
  };
  await agent.applyCpuPools(cloudId, { ...pools, dedicated: [second] });
  for (const allowed of await places())
    assert.deepEqual(
      allowed,
      all.filter((cpu) => cpu !== second),
    );
  await agent.applyCpuPools(cloudId, pools);
  for (const allowed of await places()) assert.deepEqual(allowed, all);
});
