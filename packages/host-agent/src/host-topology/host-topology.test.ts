import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { hostSystemAt, realHostSystem } from '../host-system/host-system.ts';
import { runCommand } from '../run-command.ts';
import { hostTopology, siblingsOf } from './host-topology.ts';

test('two nodes with hyper-threads and huge pages are read', async () => {
  const root = mkdtempSync(join(tmpdir(), 'virga-topology-'));
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  };
  const sys = 'sys/devices/system';
  put(`${sys}/cpu/online`, '0-7');
  put(`${sys}/cpu/isolated`, '3');
  for (let cpu = 0; cpu < 8; cpu++) {
    put(`${sys}/cpu/cpu${cpu}/topology/physical_package_id`, `${Math.floor((cpu % 4) / 2)}`);
    put(`${sys}/cpu/cpu${cpu}/topology/core_id`, `${cpu % 2}`);
  }
  for (const node of [0, 1]) {
    put(`${sys}/node/node${node}/cpulist`, node === 0 ? '0-1,4-5' : '2-3,6-7');
    put(
      `${sys}/node/node${node}/meminfo`,
      `Node ${node} MemTotal:       ${65_536 * 1024} kB\nNode ${node} MemFree: 1 kB`,
    );
    put(`${sys}/node/node${node}/hugepages/hugepages-2048kB/nr_hugepages`, '128');
    put(`${sys}/node/node${node}/hugepages/hugepages-2048kB/free_hugepages`, '100');
  }
  const { cpus, numaNodes } = await hostTopology(hostSystemAt(root, runCommand));
  await rm(root, { recursive: true });
  assert.deepEqual(
    cpus.map(({ id, node, socket, core }) => [id, node, socket, core]),
    [0, 1, 2, 3, 4, 5, 6, 7].map((id) => [id, id % 4 < 2 ? 0 : 1, id % 4 < 2 ? 0 : 1, id % 2]),
  );
  assert.deepEqual(
    cpus.filter(({ isolated }) => isolated).map(({ id }) => id),
    [3],
  );
  assert.deepEqual(
    siblingsOf(cpus, cpus[1]!).map(({ id }) => id),
    [1, 5],
  );
  assert.deepEqual(numaNodes[1], {
    id: 1,
    memoryMib: 65_536,
    hugePages: [{ sizeKib: 2048, total: 128, free: 100 }],
  });
});

test('this host has the CPUs that it says, each in a node', async () => {
  const { cpus, numaNodes } = await hostTopology(realHostSystem);
  assert.ok(cpus.length >= availableParallelism());
  for (const { node } of cpus) assert.ok(numaNodes.some(({ id }) => id === node));
  assert.ok(numaNodes.every(({ memoryMib }) => memoryMib > 0));
});
