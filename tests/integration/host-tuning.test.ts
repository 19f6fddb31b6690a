// Tuning of the machine that the tests run on, as its administrator does it: by command, with a server that is killed and
// started meanwhile, and with hands that change the same settings.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { withKernelKnobs } from '@virga/host-agent/host-system/testing/kernel-knobs';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  // The kernel is everybody's; files of its configuration are this test's own.
  for (const folder of ['/etc/sysctl.d', '/etc/tmpfiles.d']) await output('mount', '-t', 'tmpfs', 'tmpfs', folder);
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const text = (path: string): string => readFileSync(path, 'utf8');
const swappiness = '/proc/sys/vm/swappiness';
const khugepaged = '/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan';
const sysctls = '/etc/sysctl.d/90-virga.conf';

async function events(type: string): Promise<string[]> {
  const { items } = await cloud.client.listCloudEvents({ query: { order: 'newest' } });
  return items.filter((event) => event.type === type).map(({ message }) => message);
}

test('a host is tuned by command, set right after hands have changed it, and as before after the undo', async () => {
  await withKernelKnobs(async () => {
    const before = [text(swappiness), text(khugepaged)];
    try {
      const plan = await cloud.done('host tune custom --set swappiness=17 --set khugepaged-pages=4197 --dry-run');
      assert.match(plan, /\/proc\/sys\/vm\/swappiness {2}Set by the administrator\.\n {4}- \d+\n {4}\+ 17\n/);
      assert.deepEqual([text(swappiness), text(khugepaged)], before);

      const tuned = await cloud.done('host tune custom --set swappiness=17 --set khugepaged-pages=4197 --wait');
      assert.match(tuned, /custom with swappiness=17, khugepaged-pages=4197 is in force/);
      assert.deepEqual([text(swappiness), text(khugepaged)], ['17\n', '4197\n']);
      assert.match(text(sysctls), /^vm\.swappiness = 17$/m);

      const refused = await cloud.cli('hosts tune --set swappiness=18 --set io-scheduler.sdzzz=none --wait'.split(' '));
      assert.deepEqual([refused.exit, text(swappiness)], [2, '17\n'], refused.stderr);
      assert.match(await cloud.done('host tune'), /The host has no ioScheduler\.sdzzz\./);

      await cloud.stopServer('SIGKILL');
      writeFileSync(swappiness, '77');
      await cloud.startServer();
      await until('it is set right', () => text(swappiness) === '17\n');
      const [drift] = await until('it is told', async () => {
        const told = await events('host.drifted');
        return told.length > 0 && told;
      });
      assert.match(drift!, /\/proc\/sys\/vm\/swappiness from 17 to 77/);
    } finally {
      await cloud.done('host tune --undo --wait');
    }
    assert.deepEqual([text(swappiness), text(khugepaged), existsSync(sysctls)], [...before, false]);
    assert.match(await cloud.done('host tune'), /not tuned/);
  });
});
