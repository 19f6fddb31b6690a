// A process of its own, to be killed: opens an agent on the storage of a test and runs a comparison. When the first guest has
// been started it sets transparent huge pages as the comparison would next, and dies before it can do anything about either.
// usage: killed-bench.ts STORAGE_FOLDER SETTING
import pino from 'pino';
import { HostChanges } from '../../../host-changes/host-changes.ts';
import { hostChangesPath } from '../../../host-changes/record-path.ts';
import { realHostSystem } from '../../../host-system/host-system.ts';
import { openLibvirtAgent } from '../../libvirt-agent.ts';
import { benchOwner } from '../bench-names.ts';

const [storagePath, value] = process.argv.slice(2);
const file = process.env.VIRGA_TEST_BENCH_IMAGE;
if (storagePath === undefined || value === undefined || file === undefined)
  throw new Error('see the head of this file');

const path = '/sys/kernel/mm/transparent_hugepage/enabled';
const changes = new HostChanges({ system: realHostSystem, recordPath: hostChangesPath(storagePath) });
const agent = await openLibvirtAgent({
  socketPath: process.env.VIRGA_TEST_LIBVIRT_SOCKET,
  storagePath,
  acceleration: 'tcg',
  benchImage: { file },
  log: pino({ level: 'silent' }),
  hook: async (step, id) => {
    if (step !== 'bench' || id !== 'boot') return;
    await changes.apply(benchOwner, [{ setting: { kind: 'value', path, value }, why: 'a test' }]);
    process.kill(process.pid, 'SIGKILL');
  },
});
await agent.compare({ comparison: 'thp', pairs: 1, seconds: 1, force: true });
throw new Error('it was not killed');
