// Storage pools on a real host, as a person has them by the command line: a pool of a folder, an instance and an encrypted
// volume in it, which outlives that libvirt forgets its passphrase, and that nothing is left in the end.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { volumeSecretUuid } from '@virga/host-agent/libvirt/volumes/volume-secret';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { stepsOf } from './steps.ts';
import { virsh } from './virsh.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let virga: WholeCloud;
let folder: string;

before(async () => {
  hypervisor = await startHypervisor();
  virga = await WholeCloud.start();
  folder = await mkdtemp(join(tmpdir(), 'virga-pool.'));
  await chmod(folder, 0o711);
});
after(async () => {
  await virga?.close();
  await hypervisor?.close();
  if (folder) await rm(folder, { recursive: true });
});

test('an instance and an encrypted volume lie in a pool, and start again after libvirt has forgotten the key', async (t) => {
  const step = stepsOf(t);
  const image = join(folder, 'tiny.raw');
  const pool = join(folder, 'pool');
  const state = async (what: string) => (await virga.json(what)).state;

  await step('a folder becomes a pool', async () => {
    await writeFile(image, tinyGuestDisk({ answersAcpi: true }), { mode: 0o644 });
    await virga.done(`pools create fast --path ${pool}`);
    const reason = await until('its host says why it is none', async () => {
      const shown = await virga.json('pools show fast');
      return shown.state === 'unavailable' && shown.stateReason;
    });
    assert.match(reason, /There is no folder/);
    await virga.done('pools delete fast --yes');
    await until('it is gone', async () => (await virga.cli(['pools', 'show', 'fast'])).exit === 3);
    await mkdir(pool, { mode: 0o711 });
    await virga.done(`pools create fast --path ${pool} --overcommit 100`);
    await until('it is ready', async () => (await state('pools show fast')) === 'ready');
  });

  await step('an instance runs from it, with an encrypted volume beside its disk', async () => {
    await Promise.all([
      virga.done(`images register ${image} --name tiny --format raw --wait`),
      virga.done('networks create default --cidr 10.204.0.0/24 --wait'),
    ]);
    await virga.done('launch web --image tiny --type tiny --pool fast --warm never --wait');
    await virga.done('volumes create secrets --size 1GiB --encrypted --instance web --pool fast --wait');
    await virga.done('attach web secrets --wait');
    const { id, poolName, encrypted } = await virga.json('volumes show secrets');
    assert.deepEqual([poolName, encrypted], ['fast', true]);
    assert.deepEqual(await readdir(join(pool, 'volumes')), [id]);
    const { domainName, id: instanceId } = await virga.json('show web');
    assert.deepEqual(await readdir(join(pool, 'instances')), [instanceId]);
    assert.match(await virsh('dumpxml', domainName), /<encryption format='luks'/);
    assert.match(await virsh('secret-list'), new RegExp(volumeSecretUuid(id)));
  });

  await step('libvirt forgets its secrets, and the instance starts nevertheless', async () => {
    await virga.done('stop web --wait');
    const isHost = async (wanted: string) => (await virga.json('hosts list'))[0].state === wanted;
    await hypervisor.kill();
    await until('the host is seen to be away', () => isHost('unreachable'), { timeoutMs: 60_000 });
    await hypervisor.start();
    await until('it is back', () => isHost('ready'), { timeoutMs: 60_000 });
    const { id } = await virga.json('volumes show secrets');
    const isKnown = async () => (await virsh('secret-list')).includes(volumeSecretUuid(id));
    assert.equal(await isKnown(), false);
    await virga.done('start web --wait');
    assert.equal(await state('show web'), 'running');
    assert.equal(await isKnown(), true);
  });

  await step('what is deleted leaves nothing in the pool', async () => {
    await virga.done('delete web --yes --wait');
    await virga.done('volumes delete secrets --wipe --yes --wait');
    assert.deepEqual([await readdir(join(pool, 'volumes')), await readdir(join(pool, 'instances'))], [[], []]);
    await virga.done('pools delete fast --yes');
    await until('its mark is gone', async () => !(await readdir(pool)).includes('.virga-pool.json'));
    assert.doesNotMatch(await virsh('secret-list'), /[0-9a-f]{12}/);
  });
});
