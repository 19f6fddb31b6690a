// Copies that are interrupted or fail, at each step, with real guests of the starter image.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { until } from '@virga/testing/until';
import { greeting, hostKeyOf, WarmHost } from '../testing/warm-host.ts';

/** Several boots, on a machine that may be busy. */
const testMs = 280_000;
let warm: WarmHost;

before(async () => {
  warm = await WarmHost.open(62);
});

after(() => warm?.close());

const refused = new VirgaError('HypervisorRefused', { detail: 'A test fails this step.', action: 'Nothing.' });
const interrupted = new VirgaError('HostUnavailable', { detail: 'A test interrupts here.', action: 'Nothing.' });
const stepsOfTemplate = ['template-files', 'template-start', 'template-save'];
const stepsOfShell = ['shell-files', 'shell-load'];
const stepsOfClaim = ['warm-take', 'warm-resume', 'warm-define', 'warm-record', 'warm-card', 'warm-finish'];
const stepsOfCopy = [...stepsOfShell, ...stepsOfClaim];

/** As a crash of QEMU would end it. Answers when libvirt knows. */
async function killGuest({ domainName }: DesiredInstance): Promise<void> {
  const path = `/run/libvirt/qemu/${domainName}.pid`;
  process.kill(Number(await readFile(path, 'utf8')), 'SIGKILL');
  await until('libvirt has seen it', () => !existsSync(path));
}

/** Asked for again as the control plane does. */
const runningAtLast = (copy: DesiredInstance) =>
  until('it runs', async () => {
    const observed = await warm.host.agent.applyInstance(copy);
    return observed.state === 'running' && observed;
  });

test('an interrupted copy is gone on with or begun anew, and one that fails for good begins cold', {
  timeout: testMs,
}, async (t) => {
  const { host, template } = warm;
  const { agent, cloudId, storagePath } = host;
  const code = (expected: string) => (error: unknown) => error instanceof VirgaError && error.code === expected;
  const unfinished = [{ id: template.id, cloudId, state: 'unfinished', clones: 0 }];
  for (const step of stepsOfTemplate) {
    warm.failing = { step, error: interrupted };
    await assert.rejects(agent.applyTemplate(template), code('HostUnavailable'));
    await assert.rejects(agent.deleteImage({ id: template.imageId, cloudId }), code('InUse'));
    assert.deepEqual(await agent.listTemplates(cloudId), unfinished);
    warm.failing = undefined;
  }
  assert.equal((await agent.applyTemplate(template)).state, 'ready');

  const survivors: DesiredInstance[] = [];
  for (const step of stepsOfCopy) {
    await t.test(`interrupted before ${step}`, async () => {
      const copy = warm.instance(step);
      warm.failing = { step, error: interrupted };
      await assert.rejects(agent.applyInstance(copy), code('HostUnavailable'));
      warm.failing = undefined;
      const restarted = await host.openAgent();
      const observed = await restarted.applyInstance(copy);
      assert.deepEqual([observed.state, observed.intact, observed.warm], ['running', true, true]);
      await greeting(copy);
      survivors.push(copy);
    });
  }
  const keys = await Promise.all(survivors.map(hostKeyOf));
  assert.ok(keys.every(Boolean), 'a copy has no host key');
  assert.equal(new Set(keys).size, stepsOfCopy.length, keys.join());

  for (const step of ['shell-load', ...stepsOfClaim]) {
    await t.test(`its guest is killed before ${step}`, async () => {
      const copy = warm.instance(`killed-${step}`);
      warm.atStep = { step, work: () => killGuest(copy) };
      const observed = await runningAtLast(copy);
      assert.equal(warm.atStep, undefined, 'there was no such step');
      assert.deepEqual([observed.state, observed.intact], ['running', true]);
      await agent.deleteInstance(copy);
      await assert.rejects(stat(join(storagePath, 'instances', copy.id)), /ENOENT/);
    });
  }

  await t.test('failed for good', async () => {
    const copy = warm.instance('failed');
    warm.failing = { step: 'warm-define', error: refused };
    const observed = await agent.applyInstance(copy);
    warm.failing = undefined;
    assert.deepEqual([observed.state, observed.intact, observed.warm], ['running', true, undefined]);
    assert.doesNotMatch(await agent.domainXml(copy.id), /qemu:commandline|\/templates\//);
    survivors.push(copy);
  });

  await t.test('interrupted and deleted: nothing stays', async () => {
    for (const step of ['shell-load', 'warm-define', 'warm-card']) {
      const copy = warm.instance(`deleted-${step}`);
      warm.failing = { step, error: interrupted };
      await assert.rejects(agent.applyInstance(copy), code('HostUnavailable'));
      warm.failing = undefined;
      await agent.deleteInstance(copy);
      await assert.rejects(stat(join(storagePath, 'instances', copy.id)), /ENOENT/);
      await assert.rejects(host.outside.domains.lookupByUuid(copy.uuid));
    }
  });
  for (const copy of survivors) await agent.deleteInstance(copy);
  warm.failing = { step: 'delete-template-files', error: interrupted };
  await assert.rejects(agent.deleteTemplate(template), code('HostUnavailable'));
  assert.deepEqual(await agent.listTemplates(cloudId), unfinished);
  warm.failing = undefined;
  await agent.deleteTemplate(template);
  assert.deepEqual(await readdir(join(storagePath, 'templates')), []);
  assert.deepEqual(await readdir(join(storagePath, 'instances')), []);
});
