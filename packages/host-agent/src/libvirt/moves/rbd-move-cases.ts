// Moves of volumes into a real Ceph cluster and out of it, with what the disks hold compared to what was written: of guests that
// run and write meanwhile, of volumes that nobody has, and cut short at every step.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HostAgent } from '@virga/contract/agent/agent';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredMove } from '@virga/contract/agent/moves';
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { newId } from '@virga/contract/ids';
import { blockBytes, type Pattern, readPattern, writeInGuest, writeToFile } from '../testing/disk-patterns.ts';
import type { TestHost } from '../testing/test-host.ts';

type MiniCeph = { pool: string; run(program: string, args: readonly string[]): Promise<string> };
export type RbdWorld = { ceph: MiniCeph; host: TestHost; pool: DesiredPool };

const mebibyte = 1024 * 1024;
const blocks = 6;

/** @param open undefined: Ceph is not installed */
export function testRbdMoves(open: () => RbdWorld | undefined): void {
  const cases = (name: string, run: (moves: RbdMoves, t: TestContext) => Promise<void>) =>
    test(name, async (t) => {
      const world = open();
      if (world === undefined) return t.skip('Ceph is not installed');
      await run(new RbdMoves(world), t);
    });

  cases('a volume that nobody has goes into Ceph and home again, cut short at every step', async (moves) => {
    let volume = await moves.volume();
    await writeToFile(await moves.fileOf(volume), [1, 2, 3, 4, 5, 6]);
    volume = await moves.cutShort(volume, moves.pool);
    assert.deepEqual(await moves.contentOf(volume), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(await moves.left(volume), [volume.id, `ceph ${volume.id}`]);
    volume = await moves.cutShort(volume, undefined);
    assert.deepEqual(await moves.contentOf(volume), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(await moves.left(volume), [volume.id]);
    await moves.host.agent.deleteVolume(volume);
  });

  cases('a guest writes to its volume while that goes into Ceph and home, cut short at every step', async (moves) => {
    const { host } = moves;
    let volume = await moves.volume();
    const desired = await moves.machine(volume);
    let next = 0;
    const write = () => moves.write(desired, volume, [next + 1], next++ % blocks);
    for (const pool of [moves.pool, undefined]) {
      volume = await moves.cutShort(volume, pool, { holder: desired, atStep: write });
      await write();
      assert.deepEqual(await moves.sourcesOf(desired, volume), { live: [true], defined: [true] });
      assert.deepEqual(await host.agent.findDrifts(host.cloudId), []);
    }
    const expected = Array.from({ length: blocks }, (_, block) => next - ((next - 1 - block) % blocks));
    assert.deepEqual(await moves.contentOf(volume), expected);
    await moves.end(desired, volume);
    assert.deepEqual(await moves.left(volume), []);
  });

  cases('what is encrypted is noise in Ceph, grows, and goes home and back with its key', async (moves) => {
    const { host, pool } = moves;
    const { domains } = host.outside;
    const passphrase = 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz';
    let volume = await moves.volume({ pool, passphrase });
    const desired = await moves.machine(volume);
    await moves.write(desired, volume, [5, 6, 7]);
    volume = { ...volume, generation: 2, mustExist: true, sizeBytes: 12 * mebibyte };
    assert.equal((await host.agent.applyVolume(volume)).sizeBytes, 12 * mebibyte);
    const ref = await domains.lookupByName(desired.domainName);
    assert.equal(Number((await domains.blockInfo(ref, 'vdc')).capacityBytes), 12 * mebibyte);
    const inCeph = await readFile(await moves.fileOf(volume));
    assert.equal(inCeph.subarray(0, 4).toString('latin1'), 'LUKS');
    for (const byte of [5, 6, 7]) assert.equal(inCeph.indexOf(Buffer.alloc(512, byte)), -1);
    volume = await moves.moved(host.agent, moves.moveOf(volume, undefined, desired));
    await moves.write(desired, volume, [8], 1);
    assert.deepEqual(await moves.differs(desired, volume, [5, 8, 7]), []);
    const off = { ...desired, power: { state: 'stopped', forceAt: new Date(0).toISOString() } as const };
    await host.agent.applyInstance({ ...off, generation: 2 });
    volume = await moves.moved(host.agent, moves.moveOf(volume, pool, desired));
    volume = { ...volume, generation: volume.generation + 1, sizeBytes: 16 * mebibyte };
    await host.agent.applyVolume(volume);
    const [seen] = (await host.agent.listVolumes(host.cloudId)).filter(({ id }) => id === volume.id);
    assert.deepEqual([seen?.encrypted, seen?.poolId, seen?.sizeBytes], [true, pool.id, 16 * mebibyte]);
    assert.equal((await host.agent.applyInstance({ ...desired, generation: 3 })).drift, undefined);
    assert.deepEqual(await moves.differs(desired, volume, [5, 8, 7]), []);
    await moves.end(desired, volume);
    assert.deepEqual(await moves.left(volume), []);
  });

  cases('a move into Ceph is cancelled while it copies, and nothing is left there', async (moves) => {
    const { host } = moves;
    const volume = await moves.volume();
    const desired = await moves.machine(volume);
    await moves.write(desired, volume, Array(blocks * 10).fill(7));
    const move = { ...moves.moveOf(volume, moves.pool, desired), bandwidthBytesPerSecond: 64 * 1024 };
    const stop = new AbortController();
    let told = 0;
    const onProgress = (_: string, percent: number) => {
      told = percent;
      stop.abort(new Error('enough'));
    };
    await assert.rejects(host.agent.copyVolume(move, { signal: stop.signal, onProgress }), /enough/);
    assert.ok(told < 100);
    await host.agent.cancelMove(identityOf(move));
    await moves.write(desired, volume, [8]);
    assert.deepEqual(await moves.contentOf(volume), [8, 7, 7, 7, 7, 7]);
    assert.deepEqual(await moves.left(volume), [volume.id]);
    await moves.end(desired, volume);
  });

  cases('a guest that dies with libvirt none the wiser goes on where it wrote last', async (moves) => {
    const { host } = moves;
    const { domains } = host.outside;
    let volume = await moves.volume();
    const desired = await moves.machine(volume);
    const ref = await domains.lookupByName(desired.domainName);
    for (const pool of [moves.pool, undefined]) {
      const before = await domains.xml(ref, { inactive: true });
      const move = moves.moveOf(volume, pool, desired);
      const dying = await host.openAgent({
        hook: async (step) => {
          if (step !== 'move-pivoted') return;
          await moves.write(desired, volume, [9, 9]);
          await domains.destroy(ref);
          await domains.defineXml(before);
          throw new Error('killed');
        },
      });
      await dying.copyVolume(move);
      await assert.rejects(dying.switchVolume(move), /killed/);
      volume = await moves.moved(await host.openAgent(), move);
      assert.deepEqual((await moves.contentOf(volume)).slice(0, 3), [9, 9, 0]);
      // In the other direction that nobody has it, nor writes to it, changes nothing.
      await domains.create(ref);
    }
    await moves.end(desired, volume);
    assert.deepEqual(await moves.left(volume), []);
  });
}

const identityOf = ({ token, volume: { id, cloudId } }: DesiredMove) => ({ token, volumeId: id, cloudId });

class RbdMoves {
  readonly host: TestHost;
  readonly pool: DesiredPool;
  readonly #ceph: MiniCeph;

  constructor({ host, pool, ceph }: RbdWorld) {
    this.host = host;
    this.pool = pool;
    this.#ceph = ceph;
  }

  async volume(changes: Partial<DesiredVolume> = {}): Promise<DesiredVolume> {
    const { agent, cloudId } = this.host;
    const volume: DesiredVolume = {
      ...{ id: newId('volume'), cloudId, generation: 1, name: 'data', sizeBytes: 8 * mebibyte },
      ...{ mustExist: false, keepsake: {} },
      ...changes,
    };
    await agent.applyVolume(volume);
    return volume;
  }

  /** A machine with an empty disk, and the volume, that runs. */
  async machine({ id }: DesiredVolume): Promise<DesiredInstance> {
    const { host } = this;
    const volumes = [{ id, target: 'vdc', readOnly: false }];
    const base = host.instance(host.network(), newId('image'), { nics: [], volumes });
    const desired = { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 8 * mebibyte } };
    await host.agent.applyInstance(desired);
    return desired;
  }

  write({ domainName }: DesiredInstance, { id }: DesiredVolume, pattern: Pattern, from = 0): Promise<void> {
    return writeInGuest(this.host.outside, domainName, pattern, { device: `ua-${id}`, from });
  }

  /** Blocks that the guest does not read so. */
  async differs({ domainName }: DesiredInstance, { id }: DesiredVolume, pattern: Pattern): Promise<number[]> {
    const { domains } = this.host.outside;
    const ref = await domains.lookupByName(domainName);
    const found: number[] = [];
    for (const [block, byte] of pattern.entries()) {
      const read = `read -P ${byte} ${block * blockBytes} ${blockBytes}`;
      const answer = await domains.monitorCommand(ref, {
        execute: 'human-monitor-command',
        arguments: { 'command-line': `qemu-io -d /machine/peripheral/ua-${id}/virtio-backend "${read}"` },
      });
      if (/failed|error|not found/i.test(String(answer))) found.push(block);
    }
    return found;
  }

  moveOf(volume: DesiredVolume, pool: DesiredPool | undefined, holder?: DesiredInstance): DesiredMove {
    const { pool: _, ...rest } = volume;
    return {
      token: randomUUID(),
      volume: {
        ...{ ...rest, ...(pool && { pool }), format: pool ? 'raw' : 'qcow2' },
        ...{ generation: volume.generation + 1, mustExist: true },
      },
      holder: holder ? { id: holder.id, uuid: holder.uuid } : null,
    };
  }

  async moved(agent: HostAgent, move: DesiredMove): Promise<DesiredVolume> {
    do await agent.copyVolume(move);
    while (!(await agent.switchVolume(move)));
    await agent.finishMove({ ...identityOf(move), wipe: 'zero' });
    return move.volume;
  }

  /** Moves it with agents that fail at every step once; another one goes on each time. */
  async cutShort(
    volume: DesiredVolume,
    pool: DesiredPool | undefined,
    { holder, atStep }: { holder?: DesiredInstance; atStep?: () => Promise<void> } = {},
  ): Promise<DesiredVolume> {
    const move = this.moveOf(volume, pool, holder);
    const seen = new Set<string>();
    const hook = async (step: string) => {
      if (!step.startsWith('move-') || seen.has(step)) return;
      seen.add(step);
      await atStep?.();
      throw new Error('killed');
    };
    for (;;) {
      try {
        const after = await this.moved(await this.host.openAgent({ hook }), move);
        assert.ok(seen.size >= 10, `only ${[...seen].join(', ')}`);
        return after;
      } catch (error) {
        if (!(error instanceof Error && error.message === 'killed')) throw error;
      }
    }
  }

  async fileOf({ id, pool, format = 'qcow2' }: DesiredVolume): Promise<string> {
    if (pool === undefined) return join(this.host.storagePath, 'volumes', id, `disk.${format}`);
    const exported = join(this.host.storagePath, `${id}.raw`);
    await rm(exported, { force: true });
    await this.#ceph.run('rbd', ['export', '--no-progress', `${this.#ceph.pool}/${id}`, exported]);
    return exported;
  }

  contentOf = async (volume: DesiredVolume) => readPattern(await this.fileOf(volume), blocks);

  /** Whether it is what the guest has now, and what it will have. */
  async sourcesOf({ domainName }: DesiredInstance, { id, pool }: DesiredVolume) {
    const { domains } = this.host.outside;
    const ref = await domains.lookupByName(domainName);
    const source = pool ? `<source protocol='rbd' name='${this.#ceph.pool}/${id}'` : `/${id}/disk.`;
    const of = (xml: string) =>
      xml
        .split('<disk ')
        .filter((disk) => disk.includes(`name='ua-${id}'`))
        .map((disk) => disk.includes(source));
    return { live: of(await domains.xml(ref)), defined: of(await domains.xml(ref, { inactive: true })) };
  }

  /** All that is there of a volume: folders, its move, and in Ceph. */
  async left({ id }: DesiredVolume): Promise<string[]> {
    const inside = async (...parts: string[]) => readdir(join(this.host.storagePath, ...parts)).catch(() => []);
    const folders = await Promise.all(['.', '.moved-in', '.moved-on'].map((name) => inside('volumes', name)));
    const images = JSON.parse(await this.#ceph.run('rbd', ['ls', '--format', 'json', this.#ceph.pool])) as string[];
    const names = [...folders.flat(), ...(await inside('moves')), ...images.map((image) => `ceph ${image}`)];
    const inCeph = images.includes(id);
    const marks = inCeph ? await this.#ceph.run('rbd', ['snap', 'ls', `${this.#ceph.pool}/${id}`]) : '';
    // Where its name is a link, it is to one of them.
    const link = await readlink(join(this.host.storagePath, 'volumes', id)).catch(() => undefined);
    const found = names.filter((name) => name.includes(id)).concat(marks === '' ? [] : [marks]);
    return link === undefined ? found : found.slice(1);
  }

  async end(desired: DesiredInstance, volume: DesiredVolume): Promise<void> {
    await this.host.agent.deleteInstance(desired);
    await this.host.agent.deleteVolume(volume);
  }
}
