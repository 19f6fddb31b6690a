// libvirtd dies and comes back while instances are launched and deleted: the server says so, finds it again, and the cloud
// becomes what was asked for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@virga/testing/until';
import { type LibvirtCloud, openLibvirtCloud } from './libvirt-cloud.ts';

const seenWithinMs = 2_000;

let setting: LibvirtCloud;
before(async () => {
  setting = await openLibvirtCloud();
});
after(() => setting?.close());

for (const [end, how] of [
  ['kill', 'is killed'],
  ['stop', 'is stopped'],
] as const) {
  test(`libvirtd that ${how} under load is found again, and the cloud becomes what was asked for`, async (t) => {
    const { cloud, hypervisor, ledger, spec } = setting;
    for (let time = 0; time < 2; time++) {
      const doomed = ledger.living;
      const work = [
        ...Array.from({ length: 4 }, () => ledger.launch()),
        ...doomed.map((entry) => ledger.delete(entry)),
      ];
      assert.ok((await Promise.all(work)).every((acknowledged) => acknowledged));
      await hypervisor[end](); // in the midst of what was asked for
      const gone = performance.now();
      try {
        await until('the host is reported as unreachable', async () => (await host()).state === 'unreachable');
        const reportedMs = performance.now() - gone;
        assert.ok(reportedMs <= seenWithinMs, `reported after ${reportedMs} ms`);
        t.diagnostic(`reported as unreachable after ${Math.round(reportedMs)} ms`);
        await assert.rejects(cloud.client.launchInstance({ body: { ...spec, name: 'too-early' } }), {
          code: 'HostUnavailable',
        });
      } finally {
        await hypervisor.start();
      }
      const back = performance.now();
      await until('the host is ready again', async () => (await host()).state === 'ready');
      const readyMs = Math.round(performance.now() - back);
      await ledger.settle();
      const settledMs = Math.round(performance.now() - back);
      t.diagnostic(`ready ${readyMs} ms after libvirtd, and all as it was asked for after ${settledMs} ms`);
      assert.deepEqual(await ledger.judge(), { lost: [], leaked: [], duplicated: [] });
    }
  });
}

async function host() {
  const [found] = (await setting.cloud.client.listHosts({ query: {} })).items;
  assert.ok(found);
  return found;
}
