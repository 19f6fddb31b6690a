// Definitions: an overlay is kept over what is generated, at every start; what somebody changes beside Virga is told before
// anything writes over it, and then kept or taken back.
import assert from 'node:assert/strict';
import type { ObservedDrift } from '@virga/contract/agent/definition';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';

const watchdog = /<watchdog model=["']i6300esb["']/;
const withWatchdog = (xml: string) =>
  xml.replace('</devices>', "<watchdog model='i6300esb' action='pause'/></devices>");
const crashPreserved = /<on_crash>preserve<\/on_crash>/;
const preserveOnCrash = (xml: string) => xml.replace(/<on_crash>\w+<\/on_crash>/, '<on_crash>preserve</on_crash>');

export function definitionContract(test: ContractTest): void {
  test('an edit becomes an overlay, which every definition from then on has', async (world, t) => {
    const desired = await world.launched(t);
    const { effective, overlay, diff } = await world.agent.definition(desired.id);
    assert.deepEqual([overlay, diff], [[], '']);
    const plan = await world.agent.planOverlay(desired, { xml: withWatchdog(preserveOnCrash(effective)) });
    assert.deepEqual(plan.conflicts, []);
    assert.match(plan.diff, /^\+.*<watchdog/m);
    assert.match(plan.diff, /^\+.*<on_crash>preserve/m);
    assert.equal((await world.agent.definition(desired.id)).effective, effective, 'a plan changes nothing');
    const edited = { ...desired, generation: 2, overlay: plan.overlay };
    await world.agent.applyInstance(edited);
    assert.equal(await world.bootCount(desired), 1);
    const after = await world.agent.definition(desired.id);
    assert.match(after.effective, watchdog);
    assert.equal(
      after.diff,
      plan.diff.replace('--- as it is\n+++ as it will be', '--- generated\n+++ with the overlay'),
    );
    await world.converge({ ...stopped(edited, -1), generation: 3 }, 'stopped');
    await world.agent.applyInstance({ ...edited, generation: 4 });
    assert.match(await world.agent.domainXml(desired.id), watchdog);
    await world.agent.applyInstance({ ...edited, generation: 5, overlay: [] });
    assert.doesNotMatch((await world.agent.definition(desired.id)).effective, watchdog);
  });

  test('what was edited back is no overlay', async (world, t) => {
    const desired = await world.launched(t);
    const { effective } = await world.agent.definition(desired.id);
    const { overlay } = await world.agent.planOverlay(desired, { xml: preserveOnCrash(effective) });
    const edited = { ...desired, generation: 2, overlay };
    await world.agent.applyInstance(edited);
    const plan = await world.agent.planOverlay(edited, { xml: effective });
    assert.deepEqual(plan.overlay, []);
  });

  test('what no definition may be is refused, and changes nothing', async (world, t) => {
    const desired = await world.launched(t);
    const { effective } = await world.agent.definition(desired.id);
    for (const xml of [
      effective.replace(desired.domainName, 'another-name'),
      effective.replaceAll(desired.uuid, '11111111-2222-4333-8444-555555555555'),
      effective.replace(/<metadata>.*<\/metadata>/s, ''),
      effective.replace('</domain>', ''),
      // A second disk in the place of the first.
      effective.replace(
        '</devices>',
        "<disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk></devices>",
      ),
      '<network/>',
    ]) {
      await rejectsWith('InvalidArgument', world.agent.planOverlay(desired, { xml }));
    }
    const lost = { changes: [{ op: 'remove' as const, path: '/domain/devices/tpm' }] };
    await rejectsWith('InvalidArgument', world.agent.planOverlay(desired, lost));
    const noPath = { changes: [{ op: 'remove' as const, path: 'devices' }] };
    await rejectsWith('InvalidArgument', world.agent.planOverlay(desired, noPath));
    assert.equal((await world.agent.definition(desired.id)).effective, effective);
  });

  test('a change that has lost its place is told, and the others are in effect', async (world, t) => {
    const desired = await world.launched(t);
    const overlay: DesiredInstance['overlay'] = [
      { op: 'remove', path: '/domain/devices/disk[target@dev="vdz"]' },
      { op: 'set', path: '/domain/on_crash', xml: '<on_crash>preserve</on_crash>' },
    ];
    await world.agent.applyInstance({ ...desired, generation: 2, overlay });
    const { effective, conflicts } = await world.agent.definition(desired.id);
    assert.match(effective, crashPreserved);
    assert.deepEqual(conflicts, ['There is no /domain/devices/disk[target@dev="vdz"] any more.']);
  });

  test('virsh edit is told with its difference, is not written over undecided, and can be kept', async (world, t) => {
    const desired = await world.launched(t);
    const drift = await editedOutside(world, t, desired);
    assert.match(drift.diff, /^\+ +<on_crash>preserve<\/on_crash>$/m);
    const next = { ...desired, generation: 2, description: 'newer' };
    const undecided = await world.agent.applyInstance(next);
    assert.deepEqual([undecided.drift?.hash, undecided.generation], [drift.hash, 1]);
    await world.agent.applyInstance({ ...next, settledDrift: drift.hash, overlay: drift.overlay });
    const kept = await world.agent.definition(desired.id);
    assert.match(kept.effective, crashPreserved);
    assert.equal((await world.observed(desired))?.generation, 2);
    const again = { ...next, generation: 3, overlay: drift.overlay, settledDrift: drift.hash };
    assert.equal((await world.agent.applyInstance(again)).drift, undefined);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('virsh edit that began before the last change of ours is told as well', async (world, t) => {
    const desired = await world.launched(t);
    const { effective } = await world.agent.definition(desired.id);
    await world.agent.applyInstance({ ...desired, generation: 2, description: 'newer' });
    const events = await world.watch(t);
    const from = events.seen.length;
    await world.harness.virsh.edit(desired, () => preserveOnCrash(effective));
    await events.next('the change is told', (it) => it.type === 'drift' && it.id === desired.id, from);
    const observed = await world.agent.applyInstance({ ...desired, generation: 3 });
    assert.match(observed.drift?.diff ?? '', /^\+ +<on_crash>preserve<\/on_crash>$/m);
  });

  test('what is attached to a definition only is found when it is looked for, once', async (world, t) => {
    const desired = await world.launched(t);
    await world.agent.applyInstance({ ...desired, generation: 2, description: 'newer' });
    const of = async () => (await world.agent.findDrifts(world.cloudId)).find(({ id }) => id === desired.id)?.drift;
    assert.equal(await of(), undefined);
    await world.harness.virsh.attachWatchdog(desired);
    const drift = await of();
    assert.match(drift?.diff ?? '', /^\+ +<watchdog/m);
    const { hash, overlay } = drift!;
    await world.agent.applyInstance({ ...desired, generation: 3, settledDrift: hash, overlay });
    assert.match((await world.agent.definition(desired.id)).effective, watchdog);
    assert.equal(await of(), undefined);
  });

  test('virsh edit can be taken back', async (world, t) => {
    const desired = await world.launched(t);
    const { effective } = await world.agent.definition(desired.id);
    const drift = await editedOutside(world, t, desired);
    await world.agent.applyInstance({ ...desired, generation: 2, settledDrift: drift.hash });
    // libvirt writes what it adds by itself in an order of its own.
    const linesOf = (xml: string) =>
      xml
        .replace(/<metadata>.*<\/metadata>/s, '')
        .split('\n')
        .sort();
    assert.deepEqual(linesOf((await world.agent.definition(desired.id)).effective), linesOf(effective));
    // The same again is another change.
    assert.equal((await editedOutside(world, t, desired)).hash, drift.hash);
  });
}

/** Somebody changes the definition. @returns what is told of it */
async function editedOutside(
  world: ContractWorld,
  t: Parameters<Parameters<ContractTest>[1]>[1],
  desired: DesiredInstance,
): Promise<ObservedDrift> {
  const events = await world.watch(t);
  const from = events.seen.length;
  await world.harness.virsh.edit(desired, preserveOnCrash);
  const event = await events.next('the change is told', (it) => it.type === 'drift' && it.id === desired.id, from);
  if (event.type !== 'drift') throw new Error('not a change');
  return event.drift;
}
