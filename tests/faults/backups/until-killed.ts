// A process of its own, to be killed: opens an agent on the storage of a test, calls it once, and is killed with SIGKILL, by itself,
// before a step, or by the test. What the call answered it prints.
// usage: until-killed.ts STORAGE_FOLDER STEP METHOD ARGUMENT   STEP is - for none; the argument is JSON
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import { silentLog } from '@virga/testing/silent-log';

const [storagePath, killedAt, method, argument] = process.argv.slice(2) as [string, string, string, string];
const agent = await openLibvirtAgent({
  socketPath: process.env.VIRGA_TEST_LIBVIRT_SOCKET,
  storagePath,
  acceleration: 'tcg',
  log: silentLog,
  hook: (step) => {
    if (step === killedAt) process.kill(process.pid, 'SIGKILL');
  },
});
const call = agent[method as keyof typeof agent] as (argument: unknown) => Promise<unknown>;
process.stdout.write(JSON.stringify((await call.call(agent, JSON.parse(argument))) ?? null));
await agent.close();
