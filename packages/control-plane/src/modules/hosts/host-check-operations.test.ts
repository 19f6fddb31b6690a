import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HostId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { listCloudEvents } from '../../events/event-log.ts';
import { checkHost, repairHost, undoHostRepairs } from './host-check-operations.ts';
import { listHosts } from './host-operations.ts';

let cloud: SimulatedCloud;
let id: HostId;
before(async () => {
  cloud = await SimulatedCloud.start();
  id = (await listHosts(cloud.deps.db, cloud.administrator, {})).items[0]!.id;
});
after(() => cloud.close());

const change = { kind: 'value', path: '/proc/sys/vm/swappiness', now: '60', after: '10', why: 'For a test.' } as const;
const check = async (names?: string) => (await checkHost(cloud.deps, cloud.administrator, id, { names })).checks;
const eventsOf = async () =>
  (await listCloudEvents(cloud.deps.db, cloud.administrator, { resourceId: id, category: 'audit', order: 'newest' }))
    .items;

/** Once an event of that type is the newest: it is shown when no older transaction of the database server is under way. */
const eventsUpTo = (type: string) =>
  until(`${type} is shown`, async () => {
    const events = await eventsOf();
    return events[0]?.type === type && events;
  });

test('a host is looked at when somebody asks, for everything or for what is named', async () => {
  cloud.host().setTrouble('swappiness', { verdict: 'advice', seen: 'It is 60.', repair: [change] });
  assert.ok((await check()).length > 30);
  assert.deepEqual(
    (await check('swappiness,free-disk')).map(({ name, verdict, repair }) => [name, verdict, repair.length]),
    [
      ['swappiness', 'advice', 1],
      ['free-disk', 'ok', 0],
    ],
  );
});

test('a repair is told of before and after it is made, answers what was changed, and is undone', async () => {
  const { changes, report } = await repairHost(cloud.deps, cloud.administrator, id, ['swappiness']);
  assert.deepEqual(changes, [change]);
  assert.equal(report.checks.find(({ name }) => name === 'swappiness')?.repaired, true);
  const [ended, begun] = await eventsUpTo('host.repaired');
  assert.deepEqual([begun?.type, begun?.data.checks], ['host.repairing', ['swappiness']]);
  assert.deepEqual([ended?.type, ended?.data.changes, ended?.actor], ['host.repaired', [change], 'admin']);
  const undone = await undoHostRepairs(cloud.deps, cloud.administrator, id, {});
  assert.deepEqual(undone.changes, [{ ...change, now: '10', after: '60' }]);
  await eventsUpTo('host.repairs-undone');
});

test('what cannot be repaired is refused and told of by nobody', async () => {
  const before = await eventsOf();
  const repair = (names: string[], host = id) => repairHost(cloud.deps, cloud.administrator, host, names);
  await assert.rejects(repair(['nonsense']), { code: 'InvalidArgument' });
  await assert.rejects(repair(['swappiness'], 'host-0123456789abcdef0'), { code: 'NotFound' });
  cloud.host().goUnreachable();
  await assert.rejects(check(), { code: 'HostUnavailable' });
  await assert.rejects(repair(['swappiness']), { code: 'HostUnavailable' });
  cloud.host().comeBack();
  assert.deepEqual(
    await eventsOf(),
    before.filter(({ type }) => !type.startsWith('host.ready')),
  );
});
