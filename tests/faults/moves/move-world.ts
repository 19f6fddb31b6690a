// One guest that writes to a volume, or to its root disk, all the time, three places where that can lie, and moves of it that are cut off
// before a step: by the end of the agent, of the guest's QEMU, or of libvirtd. What the guest was told is written must be there always.
// One of the places is in Ceph when that is asked for.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostAgent } from '@virga/contract/agent/agent';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredMove, MoveIdentity } from '@virga/contract/agent/moves';
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { readPattern, writeInGuest } from '@virga/host-agent/libvirt/testing/disk-patterns';
import { openTestHost, type TestHost } from '@virga/host-agent/libvirt/testing/test-host';
import { type Connection, connect } from '@virga/libvirt/connection/connect';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { type MiniCeph, startMiniCeph } from '@virga/testing/mini-ceph';
import { until } from '@virga/testing/until';

const mebibyte = 1024 * 1024;
const blocks = 6;
/** @property path of a folder */
type Place = { pool: DesiredPool; path?: string };
export type Casualty = 'agent' | 'guest' | 'libvirtd';
type Subject = 'volume' | 'root';

export class MoveWorld {
  readonly host: TestHost;
  readonly #hypervisor: Hypervisor;
  readonly #pools: readonly Place[];
  readonly #ceph: MiniCeph | undefined;
  agent: HostAgent;
  volume: DesiredVolume;
  desired: DesiredInstance;
  /** What is written to and moved. */
  subject: Subject = 'volume';
  readonly #disks = { volume: freshDisk(), root: freshDisk() };
  #root: { pool: DesiredPool | undefined; generation: number } = { pool: undefined, generation: 0 };
  compared = 0;

  static async open(octet: number, { inCeph = false } = {}): Promise<MoveWorld> {
    const hypervisor = await startHypervisor();
    const host = await openTestHost(octet);
    const ceph = inCeph ? await startMiniCeph({ watchSeconds: 5 }) : undefined;
    const second = ceph ? cephPool(host, ceph) : makePool(host, 'slow');
    const pools = await Promise.all([second, makePool(host, 'fast')]);
    const { cloudId } = host;
    const volume: DesiredVolume = {
      ...{ id: newId('volume'), cloudId, generation: 1, name: 'data', sizeBytes: 8 * mebibyte },
      ...{ mustExist: false, keepsake: {} },
    };
    await host.agent.applyVolume(volume);
    const volumes = [{ id: volume.id, target: 'vdc', readOnly: false }];
    const base = host.instance(host.network(), newId('image'), { nics: [], volumes });
    const desired = { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 8 * mebibyte } };
    return new MoveWorld(host, hypervisor, { pools, ceph }, { ...volume, mustExist: true }, desired);
  }

  private constructor(
    host: TestHost,
    hypervisor: Hypervisor,
    { pools, ceph }: { pools: readonly Place[]; ceph: MiniCeph | undefined },
    volume: DesiredVolume,
    desired: DesiredInstance,
  ) {
    this.host = host;
    this.agent = host.agent;
    this.#hypervisor = hypervisor;
    this.#pools = pools;
    this.#ceph = ceph;
    this.volume = volume;
    this.desired = desired;
  }

  async close(): Promise<void> {
    await this.host.close();
    for (const { path } of this.#pools) if (path !== undefined) await rm(path, { recursive: true });
    await this.#ceph?.close();
    await this.#hypervisor.close();
  }

  /** As a reconciler does: on, or off. */
  async apply(state: 'running' | 'stopped'): Promise<void> {
    const power = state === 'running' ? ({ state } as const) : ({ state, forceAt: new Date(0).toISOString() } as const);
    this.desired = { ...this.desired, generation: this.desired.generation + 1, power };
    const { state: seen, drift } = await this.agent.applyInstance(this.desired);
    assert.deepEqual([seen, drift], [state, undefined]);
  }

  /** To the next of the three places, as another format each time. */
  nextMove(): DesiredMove {
    const places = [undefined, ...this.#pools.map(({ pool }) => pool)];
    const present = this.subject === 'root' ? this.#root.pool : this.volume.pool;
    const at = places.findIndex((pool) => pool?.id === present?.id);
    const pool = places[(at + 1) % places.length];
    if (this.subject === 'root') return this.#rootMove(pool);
    const { pool: _, ...rest } = this.volume;
    const format = this.volume.format === 'raw' && pool?.place.driver !== 'rbd' ? 'qcow2' : 'raw';
    return {
      token: newId('operation'),
      volume: { ...rest, format, generation: this.volume.generation + 1, ...(pool && { pool }) },
      holder: { id: this.desired.id, uuid: this.desired.uuid },
    };
  }

  #rootMove(pool: DesiredPool | undefined): DesiredMove {
    const { id, uuid, name, cloudId, rootDisk } = this.desired;
    const disk = { id: rootDisk.id, cloudId, name, sizeBytes: rootDisk.sizeBytes, mustExist: true, keepsake: {} };
    return {
      ...{ token: newId('operation'), isRoot: true, holder: { id, uuid } },
      volume: { ...disk, generation: this.#root.generation + 1, ...(pool && { pool }) },
    };
  }

  /** Begins with an agent that goes no further than to that step. @returns whether it came there */
  async cutOffAt(step: string, work: (agent: HostAgent) => Promise<unknown>, who: Casualty): Promise<boolean> {
    const reached = Promise.withResolvers<true>();
    const agent = await this.host.openAgent({
      hook: (now) => {
        if (now !== step) return undefined;
        reached.resolve(true);
        // As far as anybody can tell it has ended.
        return new Promise<void>(() => undefined);
      },
    });
    const wasCutOff = await Promise.race([reached.promise, work(agent).then(() => false)]);
    if (wasCutOff) await this.#end(who);
    // What it had known is gone.
    this.agent = await this.host.openAgent();
    return wasCutOff;
  }

  async #end(who: Casualty): Promise<void> {
    if (who === 'agent') return;
    if (who === 'libvirtd') {
      await this.#hypervisor.kill();
      return this.#hypervisor.start();
    }
    const path = `/run/libvirt/qemu/${this.desired.domainName}.pid`;
    const pid = await readFile(path, 'utf8').catch(() => undefined);
    if (pid === undefined) return;
    process.kill(Number(pid), 'SIGKILL');
    await this.#withLibvirt(({ domains }) =>
      until('libvirt has seen that the guest is gone', async () => {
        return !(await domains.isActive(await domains.lookupByName(this.desired.domainName)));
      }),
    );
  }

  /** The guest writes until that is over, or it is. */
  async whileWriting<T>(work: () => Promise<T>): Promise<T> {
    let isOver = false;
    const writing = this.#withLibvirt(async (connection) => {
      while (!isOver) await this.#write(connection);
    }).catch(() => undefined);
    try {
      return await work();
    } finally {
      isOver = true;
      await writing;
    }
  }

  async #write(connection: Connection): Promise<void> {
    const disk = this.#disks[this.subject];
    const block = disk.written % blocks;
    const byte = 1 + (disk.written++ % 250);
    disk.pending.set(block, byte);
    const device = this.subject === 'root' ? 'virtio-disk0' : `ua-${this.volume.id}`;
    await writeInGuest(connection, this.desired.domainName, [byte], { device, from: block });
    disk.content[block] = byte;
    disk.pending.delete(block);
  }

  /** One of its own: libvirtd may end. */
  async #withLibvirt<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await connect({ transport: { kind: 'unix', path: this.#hypervisor.socketPath } });
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  }

  /** Goes on with a move, or takes it back; whichever can be. */
  async settle(move: DesiredMove, how: 'go on' | 'take back'): Promise<void> {
    // As long as Ceph believes that a guest which was killed has the disk open.
    for (;;) {
      try {
        return await this.#settle(move, how);
      } catch (error) {
        if (!(error instanceof VirgaError) || error.code !== 'HostUnavailable') throw error;
      }
    }
  }

  async #settle(move: DesiredMove, how: 'go on' | 'take back'): Promise<void> {
    if (how === 'take back') {
      try {
        await this.agent.cancelMove(identityOf(move));
        // It may have come to its end before it was to be cut off.
        if ((await this.#generation()) === move.volume.generation) this.#moved(move);
        return;
      } catch (error) {
        // The new place counts already.
        if (!(error instanceof VirgaError) || error.code !== 'Conflict') throw error;
      }
    }
    const isThere = async () =>
      (await this.#generation()) === move.volume.generation &&
      (await this.agent.listMoves(this.host.cloudId)).length === 0;
    if (!(await isThere())) {
      do await this.agent.copyVolume(move);
      while (!(await this.agent.switchVolume(move)));
      await this.agent.finishMove(identityOf(move));
    }
    this.#moved(move);
  }

  /** What the host says of where it lies. */
  async #generation(): Promise<number | undefined> {
    if (this.subject === 'volume') return (await this.agent.listVolumes(this.host.cloudId))[0]?.generation;
    const owner = join(this.host.storagePath, 'instances', this.desired.id, 'owner.json');
    return (JSON.parse(await readFile(owner, 'utf8')) as { moved?: { generation: number } }).moved?.generation;
  }

  #moved({ volume }: DesiredMove): void {
    if (this.subject === 'volume') this.volume = volume;
    else this.#root = { pool: volume.pool, generation: volume.generation };
  }

  /** @throws AssertionError something is not what it must be, or something is left */
  async compare(what: string): Promise<void> {
    const seen = await this.agent.listVolumes(this.host.cloudId);
    const place = seen.map(({ poolId, format, generation, intact }) => ({ poolId, format, generation, intact }));
    const { pool, format = 'qcow2', generation } = this.volume;
    assert.deepEqual(place, [{ poolId: pool?.id, format, generation, intact: true }], what);
    assert.deepEqual(await this.agent.listMoves(this.host.cloudId), [], what);
    const [instance] = await this.agent.listInstances(this.host.cloudId);
    assert.equal(instance?.intact, true, what);
    const { content, pending } = this.#disks[this.subject];
    const { files, others } = await (this.subject === 'root' ? this.#rootFiles() : this.#files());
    assert.deepEqual([files.length, others], [1, []], `${what}: ${files.join(' ')}`);
    const found = await readPattern(files[0]!, blocks);
    for (const [block, byte] of pending) if (found[block] === byte) content[block] = byte;
    pending.clear();
    assert.deepEqual(found, content, `${what}: ${files[0]}`);
    assert.deepEqual(await this.agent.findDrifts(this.host.cloudId), [], what);
    this.compared++;
  }

  /** Images in Ceph, and snapshots of them. */
  async #images(): Promise<string[]> {
    if (this.#ceph === undefined) return [];
    const { run, pool } = this.#ceph;
    const names = JSON.parse(await run('rbd', ['ls', '--format', 'json', pool])) as string[];
    const marks = await Promise.all(names.map((name) => run('rbd', ['snap', 'ls', `${pool}/${name}`])));
    return [...names, ...marks.filter((text) => text !== '')];
  }

  /** Root disks that there are, and what should not be there. */
  async #rootFiles(): Promise<{ files: string[]; others: string[] }> {
    const { id, rootDisk } = this.desired;
    const folder = join(this.host.storagePath, 'instances', id);
    const own = (await readdir(folder)).filter((name) => name.startsWith('root.q'));
    const homes = [this.host.storagePath, ...this.#pools.flatMap(({ path }) => path ?? [])];
    const files = own.map((name) => join(folder, name));
    const others: string[] = await readdir(join(this.host.storagePath, 'moves')).catch(() => []);
    for (const home of homes.map((path) => join(path, 'root-disks'))) {
      for (const name of await readdir(home).catch(() => [])) {
        const found = await readdir(join(home, name));
        if (name === id && found.join() === 'root.qcow2') files.push(join(home, name, 'root.qcow2'));
        else others.push(join(home, name));
      }
    }
    const images = (await this.#images()).filter((name) => name !== this.volume.id);
    if (images.includes(rootDisk.id)) files.push(await this.#exported(rootDisk.id));
    return { files, others: [...others, ...images.filter((name) => name !== rootDisk.id)] };
  }

  async #exported(id: string): Promise<string> {
    const exported = join(this.host.storagePath, 'exported.raw');
    await rm(exported, { force: true });
    await this.#ceph!.run('rbd', ['export', '--no-progress', `${this.#ceph!.pool}/${id}`, exported]);
    return exported;
  }

  /** Disks that there are, and folders and records of moves that should not be there. */
  async #files(): Promise<{ files: string[]; others: string[] }> {
    const own = join(this.host.storagePath, 'volumes');
    const folders = this.#pools.flatMap(({ path }) => (path === undefined ? [] : [join(path, 'volumes')]));
    const homes = [join(own, '.moved-in'), join(own, '.moved-on'), ...folders, own];
    const files = new Map<string, string>();
    const others: string[] = [];
    for (const home of homes) {
      for (const name of await readdir(home).catch(() => [])) {
        if (name.startsWith('.moved-')) continue;
        const found = await readdir(join(home, name));
        const isInCeph = this.volume.pool?.place.driver === 'rbd';
        const disk = found.find((file) => (isInCeph ? file === 'owner.json' : /^disk\.(raw|qcow2)$/.test(file)));
        if (name !== this.volume.id || disk === undefined) others.push(join(home, name));
        else if (home !== own || (await isRealFolder(join(home, name)))) files.set(home, join(home, name, disk));
      }
    }
    const moves = await readdir(join(this.host.storagePath, 'moves')).catch(() => []);
    const inCeph = (await this.#images()).filter((name) => name !== this.desired.rootDisk.id);
    if (this.volume.pool?.place.driver !== 'rbd')
      return { files: [...files.values()], others: [...others, ...moves, ...inCeph] };
    const stray = inCeph.filter((name) => name !== this.volume.id);
    if (inCeph.length === stray.length) return { files: [], others: stray };
    const exported = await this.#exported(this.volume.id);
    return { files: [...files.keys()].map(() => exported), others: [...others, ...moves, ...stray] };
  }
}

const freshDisk = () => ({
  /** What the guest was told is on the disk. */
  content: Array.from({ length: blocks }, () => 0),
  /** By block, what it has been told nothing of: it may be there. */
  pending: new Map<number, number>(),
  written: 0,
});

/** What is said of a move that has begun. */
export const identityOf = ({ token, volume }: DesiredMove): MoveIdentity => ({
  token,
  volumeId: volume.id,
  cloudId: volume.cloudId,
});

async function isRealFolder(path: string): Promise<boolean> {
  const entries = await readdir(join(path, '..'), { withFileTypes: true });
  return entries.some((entry) => path.endsWith(`/${entry.name}`) && entry.isDirectory());
}

function cephPool({ cloudId }: TestHost, { monitors, pool, user, key }: MiniCeph): Place {
  const place = { driver: 'rbd', monitors, cephPool: pool, user, key } as const;
  return { pool: { id: newId('pool'), cloudId, generation: 1, name: 'ceph', mustExist: false, place } };
}

async function makePool(host: TestHost, name: string): Promise<Place> {
  const path = await mkdtemp(join(tmpdir(), 'virga-pool-'));
  await chmod(path, 0o711);
  const place = { driver: 'directory', path } as const;
  return { pool: { id: newId('pool'), cloudId: host.cloudId, generation: 1, name, mustExist: false, place }, path };
}
