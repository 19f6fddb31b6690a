// What the contract suite needs of a host that it is run against: the agent, and the hands of everybody else.
import type { HostAgent } from '@virga/contract/agent/agent';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import type { PoolPlace } from '@virga/contract/agent/pools';
import type { StepHook } from '../step-hook.ts';

/** An instance as others see it: by the name or UUID of its domain, or by its folder. */
export type Target = Pick<DesiredInstance, 'id' | 'uuid' | 'domainName'>;

export type Harness = {
  agent: HostAgent;
  /** Another agent for the same host, as after a restart: it knows what is on the host and nothing else. */
  reopen(): Promise<HostAgent>;
  /** Free on this host. The network is a /24. */
  network: Pick<DesiredNetwork, 'name' | 'bridge' | 'cidr' | 'gateway'>;
  /** A pool of Ceph, where there is one. */
  cephPlace?: PoolPlace | undefined;
  /** What a guest prints on its serial console once a boot. */
  bootMark: string;
  /** Makes a guest ignore the power button and keep its devices, when the image it boots cannot do that by itself. */
  makeStubborn?(target: Target): void;
  /** Makes a guest keep the memory that it is asked to give back, when the one it boots would not. */
  keepMemory?(target: Target): void;
  /** Makes a guest compute all the time, when the image it boots cannot do that by itself. */
  makeBusy?(target: Target): void;
  /** What a guest sees of the size of its root disk. */
  diskBytes(target: Target): Promise<number>;

  /** Ends the guest's agent, when the image it boots has one. */
  muteGuestAgent?(target: Target): void;

  virsh: {
    start(target: Target): Promise<void>;
    /** The power button. */
    shutdown(target: Target): Promise<void>;
    destroy(target: Target): Promise<void>;
    undefine(target: Target): Promise<void>;
    suspend(target: Target): Promise<void>;
    resume(target: Target): Promise<void>;
    managedSave(target: Target): Promise<void>;
    managedSaveRemove(target: Target): Promise<void>;
    /** Renames the domain; the target is what it is called before. */
    rename(target: Target, name: string): Promise<void>;
    /** A domain of somebody else, and its end. */
    defineForeign(name: string): Promise<void>;
    undefineForeign(name: string): Promise<void>;
    /** `virsh edit`. */
    edit(target: Target, edit: (xml: string) => string): Promise<void>;
    /** `virsh attach-device --config` of a watchdog, which libvirt makes no event of. */
    attachWatchdog(target: Target): Promise<void>;
    /** `virsh vcpupin --live` of its first vCPU, and `emulatorpin --live`. */
    pin(target: Target, cpu: number): Promise<void>;
    /** `virsh schedinfo --live`: thrice the weight of others, and that much of a CPU. */
    weigh(target: Target, capPercent: number): Promise<void>;
    startForeign(name: string): Promise<void>;
    /** What was released goes: domain, and what is left of its files. */
    removeReleased(target: Target): Promise<void>;
    networkDestroy(network: Pick<DesiredNetwork, 'id' | 'name'>): Promise<void>;
    networkUndefine(network: Pick<DesiredNetwork, 'id' | 'name'>): Promise<void>;
  };
  /** The same as long as nothing has restarted the guest of a domain. */
  lifeOf(domainName: string): Promise<string>;
  /** What libvirt has of the memory of a hibernated guest is overwritten with something else. */
  breakSavedMemory(target: Target): Promise<void>;
  /** The guest's process dies. */
  crash(target: Target): Promise<void>;
  removeSeed(target: Target): Promise<void>;
  /** Somebody makes the host swap guests out early. */
  spoilSwappiness(): Promise<void>;
  /** Leaves no room on the storage, and takes that back. */
  fillStorage(): Promise<void>;
  freeStorage(): Promise<void>;
  /** Cuts the agent off from the hypervisor, and ends that. */
  beginOutage(): Promise<void>;
  endOutage(): Promise<void>;

  /** Closes the agent and removes what the harness itself made. */
  close(): Promise<void>;
};

/** Opens a host for the suite. The hook is to be given to every agent that the harness opens. */
export type OpenHarness = (hook: StepHook) => Promise<Harness>;
