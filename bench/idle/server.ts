// The server that idles: a whole control plane with its HTTP front, on a host that is simulated, with instances that run. Ends
// when its standard input does. usage: server.ts DATABASE INSTANCES
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { startControlPlane } from '@virga/control-plane/control-plane';
import { openSimulatedAgent } from '@virga/host-agent/simulated/simulated-agent';
import { silentLog } from '@virga/testing/silent-log';
import { until } from '@virga/testing/until';

const [, , database = '', instances = ''] = process.argv;
const config = JSON.parse(database);
const sealKey = Buffer.alloc(32, 1);
const key = { accessKeyId: 'VKAAAAAAAAAAAAAAAAAA', secret: 'only-for-this-benchmark' };
await ensureAdministrator(config, sealKey, { user: 'admin', password: 'benchmark', project: 'default', ...key });
const agent = openSimulatedAgent({ name: 'host-1' });
const controlPlane = await startControlPlane({
  database: config,
  hosts: [{ name: 'host-1', driver: 'simulated', agent }],
  sealKey,
  listen: { host: '127.0.0.1', port: 0 },
  log: silentLog,
  version: 'bench',
});
const client = createClient({ server: controlPlane.url, ...key });
const succeeded = (id: OperationId) =>
  until(
    'the operation has succeeded',
    async () => (await client.getOperation({ params: { id }, query: { waitSeconds: 30 } })).state === 'succeeded',
  );

const folder = mkdtempSync(join(tmpdir(), 'virga-idle-'));
const path = join(folder, 'disk.raw');
writeFileSync(path, Buffer.alloc(1024 * 1024, 'virga'));
await succeeded((await client.createNetwork({ body: { name: 'default', cidr: '10.77.0.0/20' } })).operationId);
await succeeded((await client.registerImage({ body: { name: 'disk', path, format: 'raw' } })).operationId);
for (let n = 1; n <= Number(instances); n++) {
  await client.launchInstance({ body: { name: `web-${n}`, image: 'disk', type: 'tiny' } });
}
await until(
  'all instances run',
  async () => {
    const { items } = await client.listInstances({ query: { state: 'running', limit: 500 } });
    return items.length === Number(instances);
  },
  { timeoutMs: 240_000 },
);
rmSync(folder, { recursive: true });
console.log('ready');

process.stdin.resume();
process.stdin.once('end', async () => {
  await controlPlane.close();
  await agent.close();
});
