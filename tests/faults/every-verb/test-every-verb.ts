// One fault, every verb, every step: a test for each verb, on one cloud.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Instance } from '@virga/contract/rest/instances';
import { type LibvirtCloud, openLibvirtCloud } from '../libvirt-cloud.ts';
import { registerDisc } from './disc.ts';
import { everyStepOf, type Fault } from './fault-run.ts';
import { verbs } from './verbs.ts';

/** Enough for the guests of a test, and soon filled. */
const storageMib = 96;

export function testEveryVerb(fault: Fault): void {
  let setting: LibvirtCloud;
  let faults = 0;
  let instance: Instance | undefined;
  before(async () => {
    const opened = await openLibvirtCloud({ storageMib });
    setting = { ...opened, spec: { ...opened.spec, cdrom: true } };
    await registerDisc(setting);
  });
  after(() => setting?.close());

  for (const verb of verbs) {
    test(`${fault.name} at every step of ${verb.name}: it ends as it was asked for, and nothing is left`, async (t) => {
      const [host] = (await setting.cloud.client.listHosts({ query: {} })).items;
      if (verb.needs?.(host!.facts!) === false) return t.skip('this host cannot do that');
      const tally = await everyStepOf(setting, verb, fault, instance);
      instance = tally.instance;
      faults += tally.faults;
      t.diagnostic(
        `${verb.name}: ${tally.faults} faults at ${tally.steps.join(', ')}; ${tally.failedThenDone} failed and was done when asked for again`,
      );
    });
  }

  test(`there were faults`, (t) => {
    t.diagnostic(`${fault.name}: ${faults} faults`);
    assert.ok(faults >= verbs.length / 2);
  });
}
