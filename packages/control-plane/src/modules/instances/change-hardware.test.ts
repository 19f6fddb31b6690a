import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { ErrorCode } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { ChangeCdrom, ChangeHardware } from '@virga/contract/rest/instance-hardware';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { deleteImage, listImages } from '../images/image-operations.ts';
import { changeCdrom, changeHardware } from './change-hardware.ts';
import { deleteInstance, launchInstance, listInstances, stopInstance } from './instance-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ settings: { reconcilePeriodMs: 100, factsPeriodMs: 100 } });
  await cloud.prepare();
  await cloud.registerDisc('installer');
  await cloud.registerDisc('tools');
});
after(() => cloud.close());
beforeEach(async () => {
  for (const { id } of (await listInstances(cloud.deps.db, cloud.operator, {})).items)
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
});

type Change = Omit<Partial<LaunchInstance>, 'image'> & { image?: string | null };
/** @param change its image is null for one that starts from none */
const launch = async ({ image, ...change }: Change = {}) => {
  const { image: usual, ...body } = { ...launchOf('web'), ...change };
  const from = image === null ? {} : { image: image ?? usual! };
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, { ...body, ...from });
  await cloud.succeeded(operationId);
  return instance.id;
};
const install = (change: Change = {}) => launch({ image: null, iso: 'installer', ...change });
const hardware = (id: InstanceId, body: ChangeHardware) => changeHardware(cloud.deps, cloud.operator, id, body);
const cdrom = (id: InstanceId, body: ChangeCdrom) => changeCdrom(cloud.deps, cloud.operator, id, body);
const stop = async (id: InstanceId) =>
  cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 0 })).operationId);
const discOf = async (id: InstanceId) => (await cloud.instance(id)).cdrom?.imageName;
const refused = (work: Promise<unknown>, code: ErrorCode, field?: string) =>
  assert.rejects(work, (error: { code: string; field?: string }) => {
    assert.deepEqual([error.code, error.field], [code, field]);
    return true;
  });

test('an instance is installed from a disc: the disk is empty, and the disc boots after it', async () => {
  const instance = await cloud.instance(await install({ diskGib: 3 }));
  assert.deepEqual([instance.imageId, instance.imageName, instance.loginUser], [null, null, null]);
  assert.equal(instance.diskBytes, 3 * 1024 ** 3);
  assert.deepEqual(instance.bootOrder, ['disk', 'cdrom']);
  assert.equal(instance.cdrom?.imageName, 'installer');
  assert.equal(cloud.host().bootCount(instance.id), 1);
});

const refusals: [string, Change, ErrorCode, string][] = [
  ['nothing to start from', { image: null }, 'InvalidArgument', '/image'],
  ['both an image and a disc', { iso: 'installer' }, 'InvalidArgument', '/iso'],
  ['a disc as image', { image: 'installer' }, 'InvalidArgument', '/image'],
  ['a disk as disc', { image: null, iso: 'disk' }, 'InvalidArgument', '/iso'],
  ['an unknown disc', { image: null, iso: 'nothing' }, 'NotFound', '/iso'],
  ['to boot from a drive that is not there', { bootOrder: ['cdrom'] }, 'InvalidArgument', '/bootOrder'],
  ['Secure Boot of an old machine', { hardware: 'legacy', firmware: 'uefi-secure' }, 'InvalidArgument', '/firmware'],
];
for (const [what, change, code, field] of refusals) {
  test(`a launch that asks for ${what} is refused, and nothing comes of it`, async () => {
    await refused(launch(change), code, field);
    await cloud.assertNothingLeft();
  });
}

const told = (hasTpm: boolean) =>
  until('the host has told', async () => {
    const { facts } = await cloud.deps.db.selectFrom('hosts').select('facts').executeTakeFirstOrThrow();
    return facts?.features.includes('tpm') === hasTpm;
  });

test('what no host can give is refused, with what to install', async () => {
  cloud.host().lackFeature('tpm');
  try {
    await told(false);
    await assert.rejects(launch({ tpm: true }), {
      code: 'HostIncapable',
      field: '/tpm',
      action: /apt-get install swtpm/,
    } as object);
    const id = await launch();
    await stop(id);
    await refused(hardware(id, { tpm: true }), 'HostIncapable', '/tpm');
  } finally {
    cloud.host().lackFeature('tpm', false);
    await told(true);
  }
});

test('a machine that runs is changed with a restart only, and then it has what was asked for', async () => {
  const id = await launch();
  await refused(hardware(id, { hardware: 'emulated' }), 'Conflict', '/restart');
  const before = cloud.host().bootCount(id);
  const body = { hardware: 'emulated', watchdog: 'reset', restart: true } as const;
  await cloud.succeeded((await hardware(id, body)).operationId);
  assert.equal(cloud.host().bootCount(id), before + 1);
  assert.match(await cloud.host().domainXml(id), /<target dev='sda' bus='sata'\/>/);
  const instance = await cloud.instance(id);
  assert.deepEqual([instance.hardware, instance.watchdog, instance.state], ['emulated', 'reset', 'running']);
});

test('a machine that is off is changed as it is, and what it is already succeeds at once', async () => {
  const id = await launch();
  await stop(id);
  await cloud.succeeded((await hardware(id, { firmware: 'uefi-secure', tpm: true })).operationId);
  const { generation } = await cloud.instance(id);
  await cloud.succeeded((await hardware(id, { firmware: 'uefi-secure' })).operationId);
  assert.equal((await cloud.instance(id)).generation, generation);
  assert.match(await cloud.host().domainXml(id), /<tpm model='tpm-crb'>/);
});

test('discs are inserted and ejected while it runs, and one in a drive is not deleted', async () => {
  const id = await install();
  await cloud.succeeded((await cdrom(id, { image: 'tools' })).operationId);
  assert.equal(await discOf(id), 'tools');
  const [tools] = (await listImages(cloud.deps.db, cloud.operator, { name: 'tools' })).items;
  await assert.rejects(deleteImage(cloud.deps, cloud.operator, tools!.id), {
    code: 'InUse',
    detail: /drive of web/,
  } as object);
  await cloud.succeeded((await cdrom(id, { image: null })).operationId);
  assert.equal(await discOf(id), null);
  assert.equal(cloud.host().bootCount(id), 1);
});

test('an instance without a drive gets one when it is off, or with a restart', async () => {
  const id = await launch();
  await refused(cdrom(id, { image: 'tools' }), 'Conflict', '/restart');
  await cloud.succeeded((await cdrom(id, { image: null })).operationId);
  await cloud.succeeded((await cdrom(id, { image: 'tools', restart: true })).operationId);
  assert.match(await cloud.host().domainXml(id), /device='cdrom'/);
  assert.equal(cloud.host().bootCount(id), 2);
});

test('a drive that goes takes its disc along, unless the boot order needs it', async () => {
  const id = await install();
  await stop(id);
  await refused(hardware(id, { cdrom: false }), 'InvalidArgument', '/bootOrder');
  await cloud.succeeded((await hardware(id, { cdrom: false, bootOrder: ['disk'] })).operationId);
  assert.equal((await cloud.instance(id)).cdrom, null);
});

test('a guest that has locked the tray keeps its disc until it lets go, or the tray is forced', async () => {
  const id = await install();
  cloud.host().letGo(false, id);
  const { operationId } = await cdrom(id, { image: null });
  await until('it says what it waits for', async () => {
    const rows = await cloud.deps.db.selectFrom('operations').select('message').where('id', '=', operationId).execute();
    return /locked the tray/.test(rows[0]?.message ?? '');
  });
  assert.match(await cloud.host().domainXml(id), /device='cdrom'>[\s\S]*<source/);
  await cloud.succeeded((await cdrom(id, { image: null, force: true })).operationId);
  assert.equal(cloud.host().bootCount(id), 1);
});
