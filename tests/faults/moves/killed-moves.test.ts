// Moves of a volume, and of a root disk, to which a guest writes are cut off before each of their steps, with the guest's QEMU or libvirtd too: all that
// the guest was told is written is there, in one place, and nothing is left in another; whether the move goes on then or is taken
// back, and whether the guest is started before that or after. VIRGA_TEST_MOVE_KILLS=200 says how often at least, and
// VIRGA_TEST_MOVE_CEPH=1 that one of the places is in Ceph.
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { type Casualty, identityOf, MoveWorld } from './move-world.ts';

const ends = ['move-owner', 'move-name', 'move-old-owner', 'move-define', 'move-remember', 'move-remove', 'move-end'];
const whileOn = [
  'move-record',
  'move-destination',
  'move-mirror',
  'move-mark',
  'move-pivot',
  'move-pivoting',
  'move-pivoted',
  ...ends,
];
const whileOff = ['move-record', 'move-destination', 'move-mark', 'move-copy', 'move-copied', 'move-switch', ...ends];
const takingBack = ['move-abort', 'move-forget'];
/** What is done otherwise of a root disk; of many kills all. */
const ofRoot = ['move-name', 'move-owner', 'move-define', 'metadata', 'move-remove'];
const casualties: Casualty[] = ['agent', 'guest', 'libvirtd'];
const wantedKills = Number(process.env.VIRGA_TEST_MOVE_KILLS ?? 0);

let world: MoveWorld;
let kills = 0;
before(async () => {
  world = await MoveWorld.open(215, { inCeph: process.env.VIRGA_TEST_MOVE_CEPH === '1' });
});
after(async () => {
  await world.close();
});

/** Once each step by one casualty after the other; by all of them when there are to be many. */
async function each(steps: readonly string[], cut: (step: string, who: Casualty, turn: number) => Promise<void>) {
  const atLeast = Math.ceil(wantedKills / 3);
  const begun = kills;
  for (let round = 0; round === 0 || kills - begun < atLeast; round++) {
    for (const [index, step] of steps.entries()) await cut(step, casualties[(index + round) % 3]!, index + round);
  }
}

const rootSteps = (steps: readonly string[]): string[] =>
  wantedKills > 0 ? [...new Set([...steps, ...ofRoot])] : ofRoot;

/** @param steps before each of which moves of what a running guest writes to are cut off */
async function cutWhileOn(steps: readonly string[]) {
  await world.apply('running');
  await each(steps, async (step, who, turn) => {
    const move = world.nextMove();
    const wasCut = await world.whileWriting(() =>
      world.cutOffAt(
        step,
        async (agent) => {
          await agent.copyVolume(move);
          if (await agent.switchVolume(move)) await agent.finishMove(identityOf(move));
        },
        who,
      ),
    );
    if (wasCut) kills++;
    const startsFirst = turn % 2 === 0;
    if (startsFirst) await world.apply('running');
    const writes = startsFirst || who !== 'guest';
    const settle = () => world.settle(move, turn % 4 < 2 ? 'go on' : 'take back');
    await (writes ? world.whileWriting(settle) : settle());
    if (!startsFirst) await world.apply('running');
    await world.compare(`${who} ended before ${step}`);
  });
}

/** The same of a guest that is off. */
async function cutWhileOff(steps: readonly string[]) {
  await world.apply('stopped');
  await each(steps, async (step, who, turn) => {
    const move = world.nextMove();
    const wasCut = await world.cutOffAt(
      step,
      async (agent) => {
        await agent.copyVolume(move);
        assert.equal(await agent.switchVolume(move), true);
        await agent.finishMove(identityOf(move));
      },
      who,
    );
    if (wasCut) kills++;
    // It may be started meanwhile, and write.
    if (turn % 3 === 0) {
      await world.apply('running');
      await world.whileWriting(() => world.settle(move, turn % 2 === 0 ? 'go on' : 'take back'));
      await world.apply('stopped');
    } else await world.settle(move, turn % 2 === 0 ? 'go on' : 'take back');
    await world.compare(`${who} ended before ${step}, of a guest that was off`);
  });
}

const tell = (t: TestContext) =>
  t.diagnostic(`${kills} moves were cut off, and ${world.compared} times all was compared`);

test('a move of what a running guest writes to is cut off before each of its steps', async (t) => {
  await cutWhileOn(whileOn);
  tell(t);
});

test('a move of what a guest has that is off is cut off before each of its steps', async (t) => {
  await cutWhileOff(whileOff);
  tell(t);
});

test('moves of a root disk are cut off before each of their steps, while its guest writes and while it is off', async (t) => {
  world.subject = 'root';
  t.after(() => {
    world.subject = 'volume';
  });
  await cutWhileOn(rootSteps(whileOn));
  await cutWhileOff(rootSteps(whileOff));
  tell(t);
});

test('the taking back of a move is cut off before each of its steps', async (t) => {
  await world.apply('running');
  await each(takingBack, async (step, who, turn) => {
    const move = world.nextMove();
    await world.whileWriting(() => world.agent.copyVolume(move));
    if (await world.cutOffAt(step, (agent) => agent.cancelMove(identityOf(move)), who)) kills++;
    if (turn % 2 === 0) await world.apply('running');
    await world.settle(move, 'take back');
    await world.apply('running');
    await world.compare(`${who} ended before ${step}`);
  });
  tell(t);
});
