// The tests that every host agent passes: what packages/contract/src/agent says, sentence by sentence. Owns the order
// and the one world that all tests share; each file owns its part of the contract.
import { after, before, describe, it } from 'node:test';
import { adoptionContract } from './adoption-contract.ts';
import { backupContract } from './backup-contract.ts';
import { buildingContract } from './building-contract.ts';
import { cephRootContract } from './ceph-root-contract.ts';
import { consoleContract } from './console-contract.ts';
import type { ContractTest } from './contract-test.ts';
import { ContractWorld } from './contract-world.ts';
import { cpuContract } from './cpu-contract.ts';
import { definitionContract } from './definition-contract.ts';
import { deleteContract } from './delete-contract.ts';
import { deviceContract } from './device-contract.ts';
import { diskContract } from './disk-contract.ts';
import { failureContract } from './failure-contract.ts';
import { guestContract } from './guest-contract.ts';
import { hardwareContract } from './hardware-contract.ts';
import type { OpenHarness } from './harness.ts';
import { hibernateContract } from './hibernate-contract.ts';
import { hostChecksContract } from './host-checks-contract.ts';
import { hostContract } from './host-contract.ts';
import { imageContract } from './image-contract.ts';
import { imageFetchingContract } from './image-fetching-contract.ts';
import { instrumentsContract } from './instruments-contract.ts';
import { labelContract } from './label-contract.ts';
import { launchContract } from './launch-contract.ts';
import { memoryContract } from './memory-contract.ts';
import { moveContract } from './move-contract.ts';
import { networkContract } from './network-contract.ts';
import { outsideContract } from './outside-contract.ts';
import { pauseContract } from './pause-contract.ts';
import { poolContract } from './pool-contract.ts';
import { powerContract } from './power-contract.ts';
import { rebootContract } from './reboot-contract.ts';
import { renameContract } from './rename-contract.ts';
import { resizeContract } from './resize-contract.ts';
import { screenContract } from './screen-contract.ts';
import { snapshotContract } from './snapshot-contract.ts';
import { tuningContract } from './tuning-contract.ts';
import { usageContract } from './usage-contract.ts';
import { volumeContract } from './volume-contract.ts';
import { warmContract } from './warm-contract.ts';
import { watchContract } from './watch-contract.ts';

/** By theme, so that a suite that takes long can be several files, which run at the same time. */
const themes = {
  /** What a host has, and what others do there. */
  hosts: [
    adoptionContract,
    hostContract,
    tuningContract,
    hostChecksContract,
    imageContract,
    imageFetchingContract,
    buildingContract,
    networkContract,
    failureContract,
    outsideContract,
    watchContract,
    consoleContract,
    guestContract,
    screenContract,
    instrumentsContract,
    usageContract,
  ],
  /** What is kept of them. */
  snapshots: [snapshotContract],
  /** Instances from their launch to their end. */
  lives: [
    launchContract,
    labelContract,
    powerContract,
    rebootContract,
    pauseContract,
    hibernateContract,
    renameContract,
    deleteContract,
  ],
  /** What instances are made of. */
  machines: [
    volumeContract,
    deviceContract,
    hardwareContract,
    resizeContract,
    memoryContract,
    definitionContract,
    warmContract,
  ],
  /** Where their threads run. */
  cpus: [cpuContract],
  /** How their disks are driven. */
  disks: [diskContract, poolContract],
  /** Those that lie in Ceph. */
  ceph: [cephRootContract],
  /** How their disks are kept elsewhere, and brought back. */
  backups: [backupContract],
  /** Where they lie. */
  moves: [moveContract],
};
type Theme = keyof typeof themes;
const allThemes = Object.keys(themes) as Theme[];

/**
 * Registers the suite.
 * @param name of the implementation, for the report
 */
export function hostAgentContract(name: string, open: OpenHarness, chosen: readonly Theme[] = allThemes): void {
  describe(`a host agent: ${name}`, () => {
    let world: ContractWorld | undefined;
    before(async () => {
      world = await ContractWorld.open(open);
    });
    after(() => world?.close());
    const test: ContractTest = (sentence, body) => {
      it(sentence, (t) => body(world!, t));
    };
    for (const theme of chosen) for (const part of themes[theme]) part(test);
  });
}
