// What a test and its server say to each other.
import type { ObservedInstance, ObservedNetwork } from '@virga/contract/agent/observed';
import type { ControlPlaneOptions } from '@virga/control-plane/control-plane';
import type { SimulatedTimings } from '@virga/host-agent/simulated/simulated-timings';

export type HostPlan =
  | { driver: 'simulated'; stateFile: string; timings: Partial<SimulatedTimings> }
  | { driver: 'libvirt'; storagePath: string };

export type ServerPlan = {
  database: ControlPlaneOptions['database'];
  sealKeyHex: string;
  host: HostPlan;
  settings: ControlPlaneOptions['settings'];
  logPath: string;
  /** Name of a step that the agent waits at from the beginning. */
  holdAt?: string | undefined;
};

/** Steps are counted from the moment when the message arrives, or the first of a name is meant. At a held step the agent waits for `go-on`. */
export type ToServer =
  | { type: 'kill-at-step'; step: number }
  | { type: 'hold-at-step'; step: number | string }
  | { type: 'go-on' }
  | { type: 'inventory' };

export type Inventory = { instances: ObservedInstance[]; networks: ObservedNetwork[] };
export type FromServer =
  | { type: 'listening'; url: string }
  | { type: 'armed' }
  | { type: 'held'; step: string }
  | ({ type: 'inventory' } & Inventory);
