// Backups as a person makes them with the command line, of a guest that runs an operating system, on a real host: taken while it runs,
// tested by booting a machine of one, found again after the database was lost, restored as another instance, looked into, and restored
// in place.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

const answers = async (name: string) => {
  const { id } = await cloud.json(`show ${name}`);
  await until(`the agent of ${name} answers`, () => cloud.client.getGuest({ params: { id } }).then(() => true), {
    timeoutMs: 240_000,
    intervalMs: 250,
  });
};
const inGuest = async (name: string, command: string): Promise<string> => {
  const { exit, stdout, stderr } = await cloud.cli(['exec', name, '--', 'sh', '-c', command]);
  assert.equal(exit, 0, stderr);
  return stdout.trim();
};
const youngest = async () => (await cloud.json('backups list --instance web'))[0];

/** And gets it back from the host and the store. */
async function loseDatabase(): Promise<void> {
  const { exit } = await cloud.cli(['backups', 'schedule', 'web', '--cron', '0 3 29 2 *', '--keep-last', '3']);
  assert.equal(exit, 0);
  const schedules = await cloud.json('backups schedules');
  const storage = join(cloud.folders.state, 'storage');
  await until('the host keeps the schedule', () =>
    readdirSync(storage).some(
      (name) =>
        name.startsWith('host-keepsake.') && readFileSync(join(storage, name), 'utf8').includes(schedules[0].id),
    ),
  );
  await cloud.stopServer();
  rmSync(cloud.folders.database, { recursive: true });
  assert.match(await cloud.recover(), /1 backup stores, 1 schedules of backups/);
  await cloud.startServer();
  await until('it is known what is in the store', async () => {
    const { state } = await cloud.json('backup-stores show main');
    return state === 'available';
  });
  assert.deepEqual(await cloud.json('backups schedules'), schedules);
}

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  await Promise.all([
    cloud.done(`images register ${image} --name starter --format qcow2 --login-user root --wait`),
    cloud.done('networks create default --cidr 10.216.0.0/24 --wait'),
    cloud.done(`backup-stores create main --path ${join(cloud.folder, 'store')} --wait`),
  ]);
  await cloud.done('launch web --image starter --type tiny --no-key --wait');
  await answers('web');
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

test('a guest is backed up while it runs, and comes back as it was then', { timeout: 600_000 }, async () => {
  await inGuest('web', 'echo first > /etc/mark; sync');
  await cloud.done('backups create web --wait');
  const first = await youngest();
  assert.deepEqual([first.fullReason, first.frozen], ['first', true]);
  await inGuest('web', 'echo second > /etc/mark; sync');
  await cloud.done('backups create web --wait');
  const second = await youngest();
  assert.deepEqual([second.fullReason, second.parentId], [null, first.id]);
  assert.ok(second.disks[0].dataBytes < first.disks[0].dataBytes / 2, 'only what has changed was read');

  // It may print that before its agent is there: it is not what is waited for.
  await cloud.done(`backups verify ${second.id} --timeout 300 --expect nothing-like-that --wait`, {
    timeoutMs: 360_000,
  });
  const { verified } = await cloud.json(`backups show ${second.id}`);
  assert.equal(verified.outcome, 'boots');
  assert.match(verified.detail, /its guest agent answered/);
  assert.doesNotMatch(await output('virsh', 'list', '--all'), /restore-test/, 'nothing of the test is left');

  await loseDatabase();
  const found = await cloud.json('backups list --instance web');
  assert.deepEqual(found, [{ ...second, verified: null }, first]);

  await cloud.done(`backups restore ${first.id} --name again --wait`);
  await answers('again');
  assert.equal(await inGuest('again', 'cat /etc/mark'), 'first');
  await cloud.done('delete again --yes --wait');
  assert.equal(await cloud.done(`backups files ${second.id} --path /etc/mark`), 'second\n');

  await inGuest('web', 'echo third > /etc/mark; sync');
  await cloud.done('destroy web --wait');
  await cloud.done(`backups restore ${second.id} --in-place --yes --wait`);
  await cloud.done('start web --wait');
  await answers('web');
  assert.equal(await inGuest('web', 'cat /etc/mark'), 'second');
  await cloud.done('backups create web --wait');
  assert.equal((await youngest()).fullReason, 'first', 'what was recorded was of other disks');
  await cloud.done('backup-stores check main --read 100 --wait');
  assert.equal((await cloud.json('backup-stores show main')).state, 'available');
});
