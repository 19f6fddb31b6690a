// The part of a libvirt agent that reaches into guests, put together from one file a theme. Freezing and logins are here:
// one command each.
import type { GuestAccess } from '@virga/contract/agent/guest';
import type { AgentContext } from '../agent-context.ts';
import { type AgentCommand, askGuest, isFrozen } from './guest-agent.ts';
import { guestAwaitCommand, guestExec } from './guest-exec.ts';
import { guestFileStatus, guestReadFile, guestWriteFile } from './guest-files.ts';
import { guestInfo } from './guest-info.ts';

export function guestAccess(context: AgentContext): GuestAccess {
  return {
    guestInfo: (id, call) => guestInfo(context, id, call),
    guestExec: (id, command, call) => guestExec(context, id, command, call),
    guestAwaitCommand: (id, process, call) => guestAwaitCommand(context, id, process, call),
    guestFileStatus: (id, path, call) => guestFileStatus(context, id, path, call),
    guestReadFile: (id, piece, call) => guestReadFile(context, id, piece, call),
    guestWriteFile: (id, piece, call) => guestWriteFile(context, id, piece, call),
    async guestFreeze(id, { signal } = {}) {
      const ask = (command: AgentCommand) => askGuest(context, id, command, signal);
      if (await isFrozen(ask)) return { fileSystems: 0 };
      return { fileSystems: Number(await ask({ execute: 'guest-fsfreeze-freeze' })) };
    },
    async guestThaw(id, { signal } = {}) {
      return { fileSystems: Number(await askGuest(context, id, { execute: 'guest-fsfreeze-thaw' }, signal)) };
    },
    async guestSetPassword(id, { user, password }, { signal } = {}) {
      const encoded = Buffer.from(password).toString('base64');
      const args = { username: user, password: encoded, crypted: false };
      await askGuest(context, id, { execute: 'guest-set-user-password', arguments: args }, signal);
    },
    async guestSetKeys(id, { user, keys, replace }, { signal } = {}) {
      const args = { username: user, keys, reset: replace };
      await askGuest(context, id, { execute: 'guest-ssh-add-authorized-keys', arguments: args }, signal);
    },
  };
}
