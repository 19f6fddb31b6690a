// A server as its own process, that can be told to kill itself, or to wait, before the N-th step of its host agent. Speaks with its
// parent over the channel of `fork`. Owns nothing that outlives it: database, host and guests are others'.
import { flushCompileCache } from 'node:module';
import { startControlPlane } from '@virga/control-plane/control-plane';
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import { openSimulatedAgent } from '@virga/host-agent/simulated/simulated-agent';
import { openServerLog } from 'virga/server/server-log';
import type { FromServer, ServerPlan, ToServer } from './server-protocol.ts';

const plan = JSON.parse(process.argv[2] ?? '') as ServerPlan;
const log = openServerLog({ path: plan.logPath, level: 'debug' });
const tell = (message: FromServer) => process.send?.(message);
let stepsToLive = Number.POSITIVE_INFINITY;
let stepToHold: number | string = plan.holdAt ?? Number.POSITIVE_INFINITY;
let goOn = () => {};

const hook = (step: string): void | Promise<void> => {
  if (--stepsToLive <= 0) {
    log.info({ step }, 'killed here');
    process.kill(process.pid, 'SIGKILL');
  }
  if (typeof stepToHold === 'number' ? --stepToHold !== 0 : stepToHold !== step) return;
  stepToHold = Number.POSITIVE_INFINITY;
  log.info({ step }, 'held here');
  tell({ type: 'held', step });
  return new Promise((resolve) => {
    goOn = resolve;
  });
};
const agent =
  plan.host.driver === 'simulated'
    ? openSimulatedAgent({ name: 'simulated', stateFile: plan.host.stateFile, timings: plan.host.timings, hook })
    : await openLibvirtAgent({ storagePath: plan.host.storagePath, acceleration: 'tcg', log, hook });
const controlPlane = await startControlPlane({
  database: plan.database,
  hosts: [{ name: plan.host.driver, driver: plan.host.driver, agent }],
  sealKey: Buffer.from(plan.sealKeyHex, 'hex'),
  listen: { host: '127.0.0.1', port: 0 },
  log,
  version: 'under-fault',
  settings: plan.settings,
});

process.on('message', async (message: ToServer) => {
  if (message.type === 'kill-at-step') {
    stepsToLive = message.step;
    return tell({ type: 'armed' });
  }
  if (message.type === 'hold-at-step') {
    stepToHold = message.step;
    return tell({ type: 'armed' });
  }
  if (message.type === 'go-on') return goOn();
  const [instances, networks] = await Promise.all([
    agent.listInstances(controlPlane.cloudId),
    agent.listNetworks(controlPlane.cloudId),
  ]);
  tell({ type: 'inventory', instances, networks });
});
process.on('disconnect', () => process.exit());
tell({ type: 'listening', url: controlPlane.url });
// What is killed writes nothing down at its end, and the next one would have to compile all of it again.
flushCompileCache();
