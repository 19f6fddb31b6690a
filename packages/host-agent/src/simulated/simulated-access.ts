// The part of a simulated agent that reaches into guests and to their screens. Each call goes the way of every call to the
// host, so that it takes its time and fails where faults are injected.
import type { CallContext } from '@virga/contract/agent/agent';
import type { GuestAccess, ScreenAccess } from '@virga/contract/agent/guest';
import type { InstanceId } from '@virga/contract/ids';
import type { Clock } from '../clock.ts';
import type { Calls } from './call-steps.ts';
import { requireRunning } from './host-rules.ts';
import {
  answeringGuest,
  fileStatus,
  isFrozen,
  programOf,
  readFile,
  refuseIfFrozen,
  runProgram,
  type SimulatedGuest,
  simulatedInfo,
  writeFile,
} from './simulated-guest.ts';
import type { HostListener, SimulatedHost } from './simulated-host.ts';
import { openSimulatedDisplay, simulatedPicture } from './simulated-screen.ts';

type Answering = ReturnType<typeof answeringGuest>;

export function simulatedGuestAccess(host: SimulatedHost, calls: Calls, clock: Clock): GuestAccess {
  const inGuest = <T>(
    method: string,
    id: InstanceId,
    context: CallContext | undefined,
    work: (answering: Answering) => T | Promise<T>,
    whenFrozen = false,
  ): Promise<T> =>
    calls.run(method, id, context, async () => {
      const answering = answeringGuest(host, id);
      if (!whenFrozen) refuseIfFrozen(answering);
      return work(answering);
    });
  const awaitProgram = async (guest: SimulatedGuest, pid: number, waitMs: number, signal: AbortSignal | undefined) => {
    const { endsAtMs, result } = programOf(guest, pid);
    const leftMs = endsAtMs - clock.now();
    if (leftMs > 0) await clock.delay(Math.min(leftMs, waitMs), signal);
    if (leftMs > waitMs) return { ...result, exitCode: null, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
    guest.programs.delete(pid);
    return result;
  };
  return {
    guestInfo: (id, context) => inGuest('guestInfo', id, context, simulatedInfo, true),
    guestExec: (id, command, context) =>
      inGuest('guestExec', id, context, ({ guest, domain }) => {
        const { ms, result } = runProgram({ guest, domain }, command);
        guest.programs.set(result.pid, { endsAtMs: clock.now() + ms, result });
        return awaitProgram(guest, result.pid, command.waitMs, context?.signal);
      }),
    guestAwaitCommand: (id, { pid, waitMs }, context) =>
      inGuest('guestAwaitCommand', id, context, ({ guest }) => awaitProgram(guest, pid, waitMs, context?.signal)),
    guestFileStatus: (id, path, context) =>
      inGuest('guestFileStatus', id, context, (answering) => fileStatus(answering, path)),
    guestReadFile: (id, { path, offset, length }, context) =>
      inGuest('guestReadFile', id, context, ({ guest }) => readFile(guest, path, offset, length)),
    guestWriteFile: (id, { path, offset, bytes, mode }, context) =>
      inGuest('guestWriteFile', id, context, ({ guest }) => writeFile(guest, path, offset, bytes, mode)),
    guestFreeze: (id, context) =>
      inGuest(
        'guestFreeze',
        id,
        context,
        (answering) => {
          if (isFrozen(answering)) return { fileSystems: 0 };
          answering.guest.frozenInBoot = answering.domain.boots;
          return { fileSystems: 1 };
        },
        true,
      ),
    guestThaw: (id, context) =>
      inGuest(
        'guestThaw',
        id,
        context,
        (answering) => {
          const fileSystems = isFrozen(answering) ? 1 : 0;
          answering.guest.frozenInBoot = null;
          return { fileSystems };
        },
        true,
      ),
    guestSetPassword: (id, { user, password }, context) =>
      inGuest('guestSetPassword', id, context, ({ guest }) => void guest.passwords.set(user, password)),
    guestSetKeys: (id, { user, keys, replace }, context) =>
      inGuest('guestSetKeys', id, context, ({ guest }) => {
        const earlier = replace ? [] : (guest.keys.get(user) ?? []);
        guest.keys.set(user, [...new Set([...earlier, ...keys])]);
      }),
  };
}

export function simulatedScreenAccess(
  host: SimulatedHost,
  calls: Calls,
): ScreenAccess & { listener: HostListener; hangUpAll(): void } {
  const open = new Map<InstanceId, Set<() => void>>();
  const hangUp = (id: InstanceId) => {
    for (const end of open.get(id) ?? []) end();
  };
  const runningName = (id: InstanceId) => requireRunning(host, id, ', so it has no screen').record.desired.domainName;
  return {
    openDisplay: (id) =>
      calls.run('openDisplay', id, undefined, () => {
        const sessions = open.get(id) ?? new Set();
        open.set(id, sessions);
        const session = openSimulatedDisplay(`QEMU (${runningName(id)})`, () => sessions.delete(session.hangUp));
        sessions.add(session.hangUp);
        return session.client;
      }),
    screenshot: (id, context) =>
      calls.run('screenshot', id, context, () => {
        runningName(id);
        return { mediaType: 'image/png', bytes: simulatedPicture() };
      }),
    listener: {
      onEvent: (_cloudId, event) => {
        if (event.type !== 'instance') return;
        const { id, state } = event.instance;
        if (state === 'stopped' || state === 'absent' || state === 'hibernated') hangUp(id);
      },
      onPrint: () => undefined,
      onBoot: () => undefined,
    },
    hangUpAll: () => {
      for (const id of open.keys()) hangUp(id);
    },
  };
}
