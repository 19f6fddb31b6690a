// How long things take on a simulated host, in the order of a real one with a local disk. Zero takes no timer at all.

export type SimulatedTimings = {
  /** The way to the hypervisor and back, once a call. */
  callMs: number;
  /** Writing a folder, a linked clone, a seed. */
  folderMs: number;
  rootDiskMs: number;
  seedMs: number;
  leasesMs: number;
  defineMs: number;
  startMs: number;
  /** Cutting a guest off, as `virsh destroy` does. */
  destroyMs: number;
  /** What a guest takes from the ACPI request to being off. */
  guestShutdownMs: number;
  networkMs: number;
  imageMs: number;
  /** Booting a guest to be copied, and what a copy takes to get its identity. */
  templateMs: number;
  identityMs: number;
};

export const defaultTimings: SimulatedTimings = {
  callMs: 1,
  folderMs: 1,
  rootDiskMs: 20,
  seedMs: 15,
  leasesMs: 5,
  defineMs: 5,
  startMs: 400,
  destroyMs: 300,
  guestShutdownMs: 3_000,
  networkMs: 200,
  imageMs: 200,
  templateMs: 8_000,
  identityMs: 500,
};

/** A host on which nothing takes time, for tests of rules and for fleets. */
export const instantTimings: SimulatedTimings = {
  callMs: 0,
  folderMs: 0,
  rootDiskMs: 0,
  seedMs: 0,
  leasesMs: 0,
  defineMs: 0,
  startMs: 0,
  destroyMs: 0,
  guestShutdownMs: 0,
  networkMs: 0,
  imageMs: 0,
  templateMs: 0,
  identityMs: 0,
};
