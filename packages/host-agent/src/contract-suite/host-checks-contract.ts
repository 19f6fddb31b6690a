// Checks of a host, their repairs, and that these are taken back.
import assert from 'node:assert/strict';
import { conforms } from '@virga/contract/agent/conforms';
import { HostCheckReport } from '@virga/contract/agent/host-checks';
import { hostChecks } from '../host-checks/host-check-table.ts';
import { type ContractTest, rejectsWith } from './contract-test.ts';

export function hostChecksContract(test: ContractTest): void {
  test('checks the host for everything, or for what is asked, and says what it saw', async ({ agent }) => {
    const report = await agent.checkHost();
    assert.ok(conforms(HostCheckReport, report), JSON.stringify(report));
    assert.deepEqual(
      report.checks.map(({ name }) => name),
      hostChecks.map(({ name }) => name),
    );
    for (const { name, seen, why } of report.checks) assert.match(`${seen} ${why}`, /^\S.*\S\. \S.*\S\.$/, name);
    const some = await agent.checkHost(['qemu', 'libvirt']);
    assert.deepEqual(
      some.checks.map(({ name, verdict }) => [name, verdict]),
      [
        ['libvirt', 'ok'],
        ['qemu', 'ok'],
      ],
    );
  });

  test('refuses a check that there is none of, before anything is done', async ({ agent }) => {
    await rejectsWith('InvalidArgument', agent.checkHost(['nonsense']));
    await rejectsWith('InvalidArgument', agent.repairHost(['swappiness', 'nonsense']));
    await rejectsWith('InvalidArgument', agent.undoRepairs(['nonsense']));
  });

  test('repairs what it shows, remembers it, and takes it back, also by another agent', async ({ agent, harness }) => {
    await harness.spoilSwappiness();
    const look = async (by = agent) => (await by.checkHost(['swappiness'])).checks[0]!;
    const spoilt = await look();
    assert.deepEqual([spoilt.verdict, spoilt.repaired], ['advice', false]);
    assert.ok(spoilt.repair.length > 0);
    assert.deepEqual(await agent.repairHost(['swappiness', 'free-disk']), spoilt.repair);
    assert.deepEqual(await agent.repairHost(['swappiness']), []);
    const other = await harness.reopen();
    const repaired = await look(other);
    assert.deepEqual([repaired.verdict, repaired.repaired, repaired.repair], ['ok', true, []]);
    assert.deepEqual(await other.undoRepairs(['free-disk']), []);
    assert.equal((await other.undoRepairs()).length, spoilt.repair.length);
    assert.deepEqual(await look(), spoilt);
    assert.deepEqual(await agent.undoRepairs(['swappiness']), []);
  });
}
