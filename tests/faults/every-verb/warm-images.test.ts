// Instant launches under every fault, with real guests of the starter image: at every step of keeping a guest of an image, of a
// launch that begins as a copy, made for it or waiting, and of dropping what is kept.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach, before, type TestContext, test } from 'node:test';
import type { ImageId } from '@virga/contract/ids';
import type { WarmImage } from '@virga/contract/rest/warm-images';
import { until } from '@virga/testing/until';
import { type LibvirtCloud, openLibvirtCloud, virsh } from '../libvirt-cloud.ts';
import { succeeded } from '../prepare-cloud.ts';
import { everyStepOf, type Fault } from './fault-run.ts';
import { libvirtdKilled, qemuKilled, serverKilled, storageFull } from './faults.ts';
import { type Act, everyStepInTurn } from './turn-of-faults.ts';
import { freshName, type VerbUnderFault } from './verb-under-fault.ts';

/** Enough for the image, one guest that is kept and a few copies of it. */
const storageMib = 512;
const type = 'tiny';

let setting: LibvirtCloud;
let imageId: ImageId;
let faults = 0;

before(async () => {
  const path = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(path && existsSync(path), 'VIRGA_TEST_STARTER_IMAGE names an image');
  setting = await openLibvirtCloud({ storageMib });
  const body = { name: 'starter', path, format: 'qcow2', warmable: true } as const;
  const { image, operationId } = await setting.cloud.client.registerImage({ body });
  await succeeded(setting.cloud, operationId);
  imageId = image.id;
});
/** What a test that failed has held. */
afterEach(() => setting?.cloud.goOn());
after(() => setting?.close());

async function kept(): Promise<WarmImage | undefined> {
  const [one] = (await setting.cloud.client.listWarmImages({})).items;
  return one;
}

async function theHost() {
  const [one] = (await setting.cloud.client.listHosts({ query: {} })).items;
  return one!;
}

const keep = (pool: number) => setting.cloud.client.warmImage({ params: { id: imageId }, body: { type, pool } });
const drop = () => setting.cloud.client.coolImage({ params: { id: imageId }, body: {} });

const waiting = (pool: number) =>
  until(
    `${pool} copies wait`,
    async () => {
      const one = await kept();
      return one?.state === 'ready' && one.waiting === pool && one.pool === pool;
    },
    { timeoutMs: 120_000 },
  );

/** Of launches that a fault had hit: how they had begun in the end. */
let begun = { warm: 0, cold: 0 };

const launch = (name: string, pool: number, steps: readonly string[]): VerbUnderFault => ({
  name,
  creates: true,
  steps,
  ready: async () => {
    await waiting(pool);
    await until('the host is known to be back', async () => (await theHost()).state === 'ready');
  },
  ask: (client) => {
    const body = { name: freshName('vm-copied'), image: imageId, type, network: 'default', warm: 'always' } as const;
    return client.launchInstance({ body });
  },
  // Until it is off for the first time, one that waited is called so.
  ...(pool > 0 && { domainName: ({ id }) => `spare.${id}` }),
  holds: (it) => {
    if (it?.state !== 'running') return false;
    begun[it.launchPath]++;
    return true;
  },
});

const keeping: Act = {
  name: 'keeping a guest to be copied',
  steps: ['template-files', 'template-start', 'template-save', 'template-name'],
  ask: () => keep(0),
  domainName: async () => `template.${(await kept())?.id}`,
  holds: async () => (await kept())?.state === 'ready',
};

const dropping: Act = {
  name: 'dropping a guest and the copy that waits',
  steps: ['delete-shell', 'delete-template', 'delete-template-files'],
  ask: drop,
  domainName: async () => (await virsh('list', '--state-paused', '--name')).trim(),
  holds: async () => (await kept()) === undefined,
};

const stepsOfCopy = ['shell-folder', 'shell-files', 'shell-start', 'shell-load'];
const stepsOfClaim = ['warm-take', 'warm-resume', 'warm-define', 'warm-record', 'warm-card', 'warm-finish'];
/** Whether there is a guest at a step that is not of a claim: there QEMU can be killed. */
const hasGuest = (step: string) => ['template-save', 'shell-load', 'delete-shell'].includes(step);

/** A copy that was interrupted is gone on with or begun anew; one whose guest is dead, or that has no room, begins cold. */
const mayBeginCold: readonly Fault[] = [qemuKilled, storageFull];

for (const fault of [serverKilled, libvirtdKilled, qemuKilled, storageFull]) {
  const stepsOf = (steps: Act['steps']) => (fault === qemuKilled ? steps.filter(hasGuest) : steps);
  const inTurn = async (act: Act, t: TestContext) => {
    const struck = await everyStepInTurn(setting, { ...act, steps: stepsOf(act.steps) }, fault);
    faults += struck.length;
    t.diagnostic(`${act.name}: ${struck.length} faults at ${struck.join(', ')}`);
  };
  const launches = async (verb: VerbUnderFault, t: TestContext) => {
    begun = { warm: 0, cold: 0 };
    const tally = await everyStepOf(setting, verb, fault);
    faults += tally.faults;
    t.diagnostic(
      `${verb.name}: ${tally.faults} faults at ${tally.steps.join(', ')}; ${begun.warm} began as copies, ${begun.cold} cold; ` +
        `${tally.failedThenDone} failed and was done when asked for again`,
    );
    assert.ok(begun.cold === 0 || mayBeginCold.includes(fault), JSON.stringify(begun));
  };

  test(`${fault.name} at every step of keeping a guest to be copied: it is kept`, (t) => inTurn(keeping, t));

  test(`${fault.name} at every step of making a copy for a launch: it runs, and nothing is left`, (t) =>
    launches(launch('launch as a copy', 0, stepsOf(stepsOfCopy)), t));

  test(`${fault.name} at every step of a launch from a copy that waits: it runs, and nothing is left`, async (t) => {
    await keep(1);
    await launches(launch('launch from a copy that waits', 1, stepsOfClaim), t);
  });

  test(`${fault.name} at every step of dropping what is kept: nothing is left`, async (t) => {
    await waiting(1);
    await inTurn(dropping, t);
  });
}

test('there were faults', (t) => {
  t.diagnostic(`instant launches: ${faults} faults`);
  const ofEach = [keeping.steps, stepsOfCopy, stepsOfClaim, dropping.steps].flat().length;
  assert.ok(faults >= 3 * ofEach + stepsOfClaim.length, `${faults}`);
});
