// Reaching into a guest where nothing answers: what is missing is said, at once, and the same for every way in. What an
// agent that answers does is shown by tests with an operating system.
import type { GuestAccess } from '@virga/contract/agent/guest';
import { type InstanceId, newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { stopped } from './contract-world.ts';

const ways: Record<keyof GuestAccess, (agent: GuestAccess, id: InstanceId) => Promise<unknown>> = {
  guestInfo: (agent, id) => agent.guestInfo(id),
  guestExec: (agent, id) => agent.guestExec(id, { command: ['true'], waitMs: 1_000 }),
  guestAwaitCommand: (agent, id) => agent.guestAwaitCommand(id, { pid: 1, waitMs: 1_000 }),
  guestFileStatus: (agent, id) => agent.guestFileStatus(id, '/etc/os-release'),
  guestReadFile: (agent, id) => agent.guestReadFile(id, { path: '/etc/os-release', offset: 0, length: 10 }),
  guestWriteFile: (agent, id) => agent.guestWriteFile(id, { path: '/tmp/a', offset: 0, bytes: Buffer.from('a') }),
  guestFreeze: (agent, id) => agent.guestFreeze(id),
  guestThaw: (agent, id) => agent.guestThaw(id),
  guestSetPassword: (agent, id) => agent.guestSetPassword(id, { user: 'root', password: 'not this' }),
  guestSetKeys: (agent, id) => agent.guestSetKeys(id, { user: 'root', keys: ['ssh-ed25519 AAAA'], replace: false }),
};

export function guestContract(test: ContractTest): void {
  test('a guest without an agent is GuestUnavailable, whatever it is asked', async (world, t) => {
    const desired = await world.launched(t);
    world.harness.muteGuestAgent?.(desired);
    for (const ask of Object.values(ways)) await rejectsWith('GuestUnavailable', ask(world.agent, desired.id));
  });

  test('so is one that does not run; where there is no domain it is NotFound', async (world, t) => {
    const desired = stopped(world.instance(t));
    await world.agent.applyInstance(desired);
    for (const ask of Object.values(ways)) {
      await rejectsWith('GuestUnavailable', ask(world.agent, desired.id));
      await rejectsWith('NotFound', ask(world.agent, newId('instance')));
    }
  });

  test('so is one that is paused', async (world, t) => {
    const desired = await world.launched(t);
    await world.harness.virsh.suspend(desired);
    await rejectsWith('GuestUnavailable', ways.guestExec(world.agent, desired.id));
  });
}
