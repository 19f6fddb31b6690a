// Backups of a real domain into a real S3-compatible service, which goes away in between.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@virga/contract/ids';
import { hasRadosgw, startMiniS3 } from '@virga/testing/mini-radosgw';
import { openTestHost } from '../testing/test-host.ts';
import { BackupWorld } from './testing/backup-world.ts';

const mib = 1024 * 1024;
/** To start a cluster takes a machine with a lot else to do more than a minute. */
const busyMs = 300_000;

/** Processes that have it among their arguments or in their environment. */
async function holdersOf(secret: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const name of ['cmdline', 'environ']) {
      const text = await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
      if (!text.includes(secret)) continue;
      const program = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => undefined);
      // Of one that has ended meanwhile nobody knows what it was; it is looked at many times before.
      if (program !== undefined) found.push(`${name} of ${program.trim()}`);
    }
  }
  return found;
}

test('a bucket holds backups, which wait when it is away, and its keys are seen by nobody but restic', {
  timeout: busyMs,
}, async (t) => {
  if (!(await hasRadosgw())) return t.skip('there is no S3-compatible service here: apt-get install radosgw ceph-osd');
  const s3 = await startMiniS3();
  t.after(() => s3.close());
  const host = await openTestHost(214);
  t.after(() => host.close());
  const { endpoint, accessKeyId, secretAccessKey } = s3;
  const password = 'of this very store alone';
  const store = {
    ...{ id: newId('backupStore'), cloudId: host.cloudId, password, limitBytesPerSecond: 50 * mib },
    place: { kind: 's3' as const, endpoint, bucket: 'backups', prefix: 'virga', region: 'us-east-1', ca: null },
    s3Keys: { accessKeyId, secretAccessKey },
  };
  assert.deepEqual(await host.agent.openBackupStore(store), { created: true });
  assert.deepEqual(await host.agent.openBackupStore(store), { created: false });
  const world = await BackupWorld.open(host, store);
  await host.agent.applyInstance(world.instance);
  await world.write(0, 3 * mib, 0x31);
  const seen = new Set<string>();
  let isOver = false;
  const watch = async () => {
    while (!isOver) {
      for (const line of [...(await holdersOf(secretAccessKey)), ...(await holdersOf(password))]) seen.add(line);
      await sleep(50);
    }
  };
  const watching = watch();
  const full = await world.backUp().finally(() => {
    isOver = true;
  });
  await watching;
  assert.equal(full.fullReason, 'first');
  const others = [...seen].filter((line) => !/^environ of (setpriv|restic)$/.test(line));
  assert.deepEqual(others, []);

  await world.write(5 * mib, mib, 0x32);
  await s3.stop();
  const desired = world.desired();
  // What the disk has is read first, however long that takes; then the service is waited for.
  const giveUp = new AbortController();
  const hook = (step: string) => {
    if (step === 'backup-store') setTimeout(() => giveUp.abort(new Error('enough')), 5_000);
  };
  const agent = await host.openAgent({ hook });
  await assert.rejects(agent.makeBackup(desired, { signal: giveUp.signal }));
  await world.write(6 * mib, mib, 0x33);
  await s3.start();
  const second = await host.agent.makeBackup(desired);
  await host.agent.endBackup({ ...desired, made: true });
  assert.equal(second.fullReason, null);
  const content = Buffer.from(world.content).fill(0, 6 * mib, 7 * mib);
  world.made.push({ backup: second, content });
  assert.ok((await world.restored(second.id)).equals(content), 'it is what was read before the service came back');
  assert.ok((await host.agent.checkBackupStore(store, { readPercent: 100 })).sizeBytes > 0);
  await world.close();
});
