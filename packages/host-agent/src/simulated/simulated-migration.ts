// What `virsh migrate --live --persistent --undefinesource` makes of two simulated hosts that see the same folder of the
// instance, step by step. For tests. Nothing of it is Virga's, and neither agent knows of the other.
import type { InstanceId } from '@virga/contract/ids';
import type { StoredDomain } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** A guest on its way. */
export type Migration = {
  /** It runs there, and is off here. */
  arrive(): void;
  /** The domain here goes too. Left out, its definition stays, as without `--undefinesource`. */
  undefineSource(): void;
  /** It goes on here. */
  abort(): void;
};

export type MigrationControls = {
  /** It still runs here, and waits on the other host. */
  migrateOutside(id: InstanceId, to: object): Migration;
};

const hosts = new WeakMap<object, SimulatedHost>();

/** An agent by which another host can be named. */
export function joinMigrations(agent: object, host: SimulatedHost): void {
  hosts.set(agent, host);
}

export const migrationControls = (from: SimulatedHost): MigrationControls => ({
  migrateOutside: (id, agent) => {
    const to = hosts.get(agent);
    const before = from.domain(id);
    if (to === undefined || before === undefined) throw new Error(`there is nothing to migrate of ${id}`);
    const folder = from.store.folders.get(id);
    if (folder !== undefined) to.store.folders.set(id, folder);
    const isOn = before.power !== 'off';
    // One that is off is only defined there.
    if (isOn) to.setDomain(id, { ...before, isMoving: true });
    return {
      arrive: () => {
        const now: StoredDomain = from.domain(id) ?? before;
        const arrived = isOn ? ({ power: now.power, reason: 'migrated' } as const) : {};
        if (isOn) from.setDomain(id, { ...now, power: 'off', reason: 'migrated' });
        to.setDomain(id, { ...now, ...arrived, isMoving: undefined });
      },
      undefineSource: () => {
        const now = from.domain(id);
        if (now === undefined) return;
        if (folder !== undefined && isOn) from.store.folders.set(id, { ...folder, hasLeft: true });
        from.removeDomain(id, now);
      },
      abort: () => {
        const there = to.domain(id);
        to.store.folders.delete(id);
        if (there !== undefined) to.removeDomain(id, there);
      },
    };
  },
});
