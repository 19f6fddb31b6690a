// Snapshots of machines with disks in a real Ceph cluster, and beside them a file: with what the disks hold compared to what was
// written, cut short at every step, and what is made of them.
import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostAgent } from '@virga/contract/agent/agent';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredSnapshot } from '@virga/contract/agent/snapshots';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { newId, type VolumeId } from '@virga/contract/ids';
import { activeFile } from '../disks/disk-layers.ts';
import type { RbdWorld } from '../moves/rbd-move-cases.ts';
import { type Pattern, readPattern, writeInGuest } from '../testing/disk-patterns.ts';

const mebibyte = 1024 * 1024;

/** @param open undefined: Ceph is not installed */
export function testRbdSnapshots(open: () => RbdWorld | undefined): void {
  const cases = (name: string, run: (machine: CephMachine) => Promise<void>, passphrase?: string) =>
    test(name, async (t) => {
      const world = open();
      if (world === undefined) return t.skip('Ceph is not installed');
      const machine = new CephMachine(world, passphrase);
      await machine.begin();
      await run(machine);
      await machine.end();
    });

  cases(
    'a snapshot is of all disks, in Ceph and beside it, is gone back to, and goes from every place',
    async (machine) => {
      const { agent } = machine;
      await machine.write([1, 1, 1]);
      const paused: string[] = [];
      const [one, two] = [machine.snapshot(), machine.snapshot()];
      const watching = new AbortController();
      const ready = Promise.withResolvers<void>();
      const watched = (async () => {
        for await (const event of agent.watch(machine.cloudId, watching.signal)) {
          if (event.type === 'ready') ready.resolve();
          if (event.type !== 'instance' || event.instance.id !== one.instance.id) continue;
          if (event.instance.state !== 'running') paused.push(event.instance.state);
        }
      })().catch(() => undefined);
      await ready.promise;
      const observed = await agent.applySnapshot(one);
      assert.deepEqual(
        [
          observed.consistency,
          observed.intact,
          observed.disks.map(({ id, target, sizeBytes }) => [id, target, sizeBytes]),
        ],
        [
          'crash',
          true,
          [
            [machine.root, 'vda', 8 * mebibyte],
            [machine.file.id, 'vdd', 8 * mebibyte],
            [machine.inCeph.id, 'vdc', 8 * mebibyte],
          ],
        ],
      );
      assert.deepEqual(await agent.applySnapshot({ ...one, mustExist: true }), observed);
      await machine.write([2]);
      await agent.applySnapshot(two);
      await machine.write([3], 1);
      watching.abort();
      await watched;
      assert.deepEqual(paused, [], 'nobody is told that it stood still');
      assert.deepEqual(await machine.contents(), [2, 3, 1]);
      const grown = { ...machine.inCeph, generation: 2, mustExist: true, sizeBytes: 12 * mebibyte };
      await agent.applyVolume(grown);
      await assert.rejects(agent.revertSnapshot({ ...one, token: newId('operation') }), { code: 'Conflict' });
      await machine.off();
      const revert = { ...one, token: newId('operation') };
      await agent.revertSnapshot(revert);
      assert.deepEqual(await machine.contents(), [1, 1, 1]);
      const [seen] = (await agent.listVolumes(machine.cloudId)).filter(({ id }) => id === grown.id);
      assert.equal(seen?.sizeBytes, 12 * mebibyte, 'it stays as large as it is');
      await machine.on();
      await machine.write([4]);
      // One that was done is not done again, also while the guest runs.
      await agent.revertSnapshot(revert);
      assert.deepEqual(await machine.contents(), [4, 1, 1]);
      await agent.deleteSnapshot(one);
      assert.deepEqual(await machine.kept(), [two.id, two.id]);
      await machine.off();
      await agent.revertSnapshot({ ...two, token: newId('operation') });
      assert.deepEqual(await machine.contents(), [2, 1, 1]);
      await agent.deleteSnapshot(two);
      assert.deepEqual(await machine.kept(), []);
      assert.deepEqual(await machine.contents(), [2, 1, 1]);
      assert.deepEqual(await agent.listSnapshots(machine.cloudId), []);
    },
  );

  cases('cut short at every step it is whole or not there, and its guest goes on', async (machine) => {
    await machine.write([1, 1, 1]);
    const snapshot = machine.snapshot();
    const seen = await machine.cutShort(
      (agent) => agent.applySnapshot(snapshot),
      async () => {
        await machine.write([1]);
        const all = await machine.agent.listSnapshots(machine.cloudId);
        assert.ok(!all.some(({ id }) => id === snapshot.id) || (await machine.kept()).length === 2);
      },
    );
    for (const step of ['snapshot-pause', 'snapshot-ceph', 'snapshot-act', 'snapshot-go-on', 'disk-change-end']) {
      assert.ok(seen.has(step), step);
    }
    await machine.host.agent.applyInstance(machine.desired());
    assert.equal(await machine.isRunning(), true);
    await machine.write([2, 2, 2]);
    await machine.off();
    const revert = { ...snapshot, token: newId('operation') };
    assert.ok((await machine.cutShort((agent) => agent.revertSnapshot(revert))).has('revert-ceph'));
    assert.deepEqual(await machine.contents(), [1, 1, 1]);
    await machine.cutShort((agent) => agent.deleteSnapshot(snapshot));
    assert.deepEqual(await machine.kept(), []);
    // What an act that was never gone on with has left goes with the instance.
    const dying = await machine.dying((step) => step === 'snapshot-taken' || step === 'define-layers');
    await assert.rejects(dying.applySnapshot(machine.snapshot()), /killed/);
    await machine.stray();
  });

  cases('the memory is kept with disks in Ceph, of one moment', async (machine) => {
    const { agent } = machine;
    await machine.write([1, 1, 1]);
    const snapshot = machine.snapshot({ memory: true });
    assert.equal((await agent.applySnapshot(snapshot)).consistency, 'memory');
    assert.equal(await machine.isRunning(), true);
    await machine.write([2, 2, 2]);
    await machine.off();
    await agent.revertSnapshot({ ...snapshot, token: newId('operation') });
    assert.equal(await machine.isRunning(), true);
    assert.deepEqual(await machine.contents(), [1, 1, 1]);
  });

  const passphrase = 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz';
  cases(
    'clones and volumes are made of what Ceph keeps, encrypted or not, and of a file into Ceph',
    async (machine) => {
      const { agent, pool, cloudId } = machine;
      await machine.write([1, 2, 3]);
      const snapshot = machine.snapshot();
      await agent.applySnapshot(snapshot);
      await machine.write([9, 9, 9]);
      for (const kind of ['linked', 'full'] as const) {
        const copy = machine.copy();
        const { id, uuid, domainName, rootDisk } = copy;
        const clone = { id, cloudId, uuid, domainName, kind, snapshot, rootDiskId: rootDisk.id };
        const dying = await machine.dying((step) => step === 'clone-name');
        await assert.rejects(dying.makeClone(clone), /killed/);
        for (const _ of ['once', 'again']) await agent.makeClone(clone);
        if (kind === 'linked') {
          await assert.rejects(agent.deleteSnapshot(snapshot), { code: 'InUse' });
          assert.equal((await agent.applyInstance(copy)).state, 'running');
          await writeInGuest(machine.host.outside, domainName, [5]);
          await assert.rejects(agent.deleteInstance(machine.desired()), { code: 'InUse' });
        }
        assert.deepEqual(await machine.contentOf(rootDisk.id), kind === 'linked' ? [5, 2, 3] : [1, 2, 3]);
        await agent.deleteInstance(copy);
      }
      for (const [diskId, place] of [
        [machine.root, {}],
        [machine.inCeph.id, { pool }],
        [machine.file.id, { pool, passphrase }],
      ] as const) {
        const from = { id: snapshot.id, instanceId: snapshot.instance.id, diskId };
        const volume = machine.volume({ ...place, snapshot: from });
        await agent.applyVolume(volume);
        if ('passphrase' in place) {
          const noise = await readFile(await machine.exported(volume.id));
          assert.deepEqual(
            [noise.subarray(0, 4).toString('latin1'), noise.indexOf(Buffer.alloc(512, 1))],
            ['LUKS', -1],
          );
        } else if ('pool' in place) assert.deepEqual(await machine.contentOf(volume.id), [1, 2, 3]);
        else assert.deepEqual(await readPattern(machine.fileOf(volume), 3), [1, 2, 3]);
        await agent.deleteVolume(volume);
      }
    },
    passphrase,
  );
}

class CephMachine {
  readonly host: RbdWorld['host'];
  readonly pool: RbdWorld['pool'];
  readonly agent: HostAgent;
  readonly cloudId: string;
  readonly inCeph: DesiredVolume;
  readonly file: DesiredVolume;
  readonly #ceph: RbdWorld['ceph'];
  readonly #first: DesiredInstance;
  #generation = 1;
  /** Ids of disks. */
  readonly #made: string[] = [];

  /** @param passphrase of the volume in Ceph */
  constructor({ host, pool, ceph }: RbdWorld, passphrase?: string) {
    this.host = host;
    this.pool = pool;
    this.agent = host.agent;
    this.cloudId = host.cloudId;
    this.#ceph = ceph;
    this.inCeph = this.volume({ pool, ...(passphrase && { passphrase }) });
    this.file = this.volume();
    const volumes = [
      { id: this.inCeph.id, target: 'vdc', readOnly: false },
      { id: this.file.id, target: 'vdd', readOnly: false },
    ];
    this.#first = this.copy({ volumes });
  }

  get root(): VolumeId {
    return this.#first.rootDisk.id;
  }

  async begin(): Promise<void> {
    await this.agent.applyPool(this.pool);
    for (const volume of [this.inCeph, this.file]) await this.agent.applyVolume(volume);
    await this.agent.applyInstance(this.#first);
  }

  /** With all that is there of it. */
  async end(): Promise<void> {
    await this.agent.deleteInstance(this.#first);
    for (const volume of [this.inCeph, this.file]) await this.agent.deleteVolume(volume);
    const images = await this.#ceph.run('rbd', ['ls', '--format', 'json', this.#ceph.pool]);
    assert.deepEqual(
      (JSON.parse(images) as string[]).filter((name) => this.#made.some((id) => name.startsWith(id))),
      [],
    );
  }

  /** A machine with an empty root disk in Ceph. */
  copy(changes: Partial<DesiredInstance> = {}): DesiredInstance {
    const base = this.host.instance(this.host.network(), newId('image'), { nics: [], ...changes });
    this.#made.push(base.rootDisk.id);
    return { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 8 * mebibyte, pool: this.pool.id } };
  }

  volume(changes: Partial<DesiredVolume> = {}): DesiredVolume {
    const id = newId('volume');
    this.#made.push(id);
    return {
      ...{ id, cloudId: this.host.cloudId, generation: 1, name: 'data', sizeBytes: 8 * mebibyte },
      ...{ mustExist: false, keepsake: {} },
      ...changes,
    };
  }

  snapshot(changes: Partial<DesiredSnapshot> = {}): DesiredSnapshot {
    const { id, uuid, domainName } = this.#first;
    return {
      ...{ id: newId('snapshot'), cloudId: this.cloudId, name: 'before', instance: { id, uuid, domainName } },
      ...{ memory: false, mustExist: false, keepsake: {} },
      ...changes,
    };
  }

  desired = (): DesiredInstance => ({ ...this.#first, generation: ++this.#generation });

  async on(): Promise<void> {
    assert.equal((await this.agent.applyInstance(this.desired())).drift, undefined);
  }

  async off(): Promise<void> {
    const power = { state: 'stopped', forceAt: new Date(0).toISOString() } as const;
    await this.agent.applyInstance({ ...this.desired(), power });
  }

  async isRunning(): Promise<boolean> {
    const { domains } = this.host.outside;
    return (await domains.state(await domains.lookupByName(this.#first.domainName))).state === 'running';
  }

  /** The same to all of its disks, as its guest would. */
  async write(pattern: Pattern, from = 0): Promise<void> {
    for (const device of ['virtio-disk0', `ua-${this.inCeph.id}`, `ua-${this.file.id}`]) {
      await writeInGuest(this.host.outside, this.#first.domainName, pattern, { device, from });
    }
  }

  /** Of all of its disks. */
  async contents(): Promise<number[]> {
    const all = [
      await this.contentOf(this.root),
      await this.contentOf(this.inCeph.id),
      await readPattern(await activeFile(this.fileOf(this.file)), 3),
    ];
    for (const one of all) assert.deepEqual(one, all[0]);
    return all[0]!;
  }

  fileOf = ({ id }: DesiredVolume): string => join(this.host.storagePath, 'volumes', id, 'disk.qcow2');

  contentOf = async (id: VolumeId) => readPattern(await this.exported(id), 3);

  async exported(id: VolumeId): Promise<string> {
    const path = join(this.host.storagePath, `${id}.raw`);
    await rm(path, { force: true });
    await this.#ceph.run('rbd', ['export', '--no-progress', `${this.#ceph.pool}/${id}`, path]);
    return path;
  }

  /** Snapshots that Ceph keeps of its disks. */
  async kept(): Promise<string[]> {
    const lists = [this.root, this.inCeph.id].map(async (id) => {
      const text = await this.#ceph.run('rbd', ['snap', 'ls', '--format', 'json', `${this.#ceph.pool}/${id}`]);
      return (JSON.parse(text) as { name: string }[]).map(({ name }) => name);
    });
    return (await Promise.all(lists)).flat();
  }

  /** A snapshot that nobody knows of any more. */
  async stray(): Promise<void> {
    await this.#ceph.run('rbd', [
      'snap',
      'create',
      '--no-progress',
      `${this.#ceph.pool}/${this.inCeph.id}@${newId('snapshot')}`,
    ]);
  }

  dying = (at: (step: string) => boolean): Promise<HostAgent> =>
    this.host.openAgent({
      hook: (step) => {
        if (at(step)) throw new Error('killed');
      },
    });

  /** Has it done by agents that are killed at every step once; another one goes on each time. @returns the steps */
  async cutShort(act: (agent: HostAgent) => Promise<unknown>, between = async () => {}): Promise<Set<string>> {
    const seen = new Set<string>();
    for (;;) {
      const agent = await this.dying((step) => !seen.has(step) && seen.add(step) !== undefined);
      try {
        await act(agent);
        return seen;
      } catch (error) {
        if (!(error instanceof Error && error.message === 'killed')) throw error;
        await between();
      }
    }
  }
}
