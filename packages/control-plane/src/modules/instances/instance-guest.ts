// Reaching into the guest of an instance. Nothing of it is desired, so nothing is tried again; what changes or reads the
// guest is written down as an event before it is done. Passwords, input, variables and contents are in no event and no log.
import type { HostAgent } from '@virga/contract/agent/agent';
import { type GuestCommandResult as AgentCommandResult, maxGuestPieceBytes } from '@virga/contract/agent/guest';
import type { InstanceId } from '@virga/contract/ids';
import type { Guest, GuestCommand, GuestCommandResult, GuestFileStatus } from '@virga/contract/rest/instance-guest';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { frozenUntil } from './guest-freeze.ts';
import { requireInstance } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import type { InstanceRow } from './instance-store.ts';

type Operator = ProjectAccess<'operator'>;
type Told = { type: string; message: (name: string) => string; data?: Record<string, unknown> };

const defaultWaitSeconds = 30;
/** What an event keeps of a command line. */
const keptArguments = 32;
const keptArgumentLength = 512;

/** @throws NotFound | GuestUnavailable | HostUnavailable */
export async function getGuest(
  deps: Deps,
  access: ProjectAccess,
  id: InstanceId,
  signal?: AbortSignal,
): Promise<Guest> {
  const { host_id } = await requireInstance(deps.db, access, id);
  const { users, ...info } = await deps.agents.agentOf(host_id).guestInfo(id, { signal });
  return {
    ...info,
    users: users.map(({ name, since }) => ({ name, since: since?.toISOString() ?? null })),
    frozenUntil: (await frozenUntil(deps.db, id))?.toISOString() ?? null,
  };
}

/** @throws NotFound | GuestUnavailable | GuestRefused */
export async function executeInGuest(
  deps: Deps,
  access: Operator,
  id: InstanceId,
  { command, env, input, waitSeconds = defaultWaitSeconds }: GuestCommand,
  signal?: AbortSignal,
): Promise<GuestCommandResult> {
  const argv = command.slice(0, keptArguments).map((argument) => argument.slice(0, keptArgumentLength));
  const told = {
    type: 'instance.guest-command',
    message: (name: string) => `A command is run in ${name}.`,
    data: { argv },
  };
  const agent = await toldAgent(deps, access, id, told);
  const result = await agent.guestExec(
    id,
    {
      command,
      env,
      input: input === undefined ? undefined : Buffer.from(input, 'base64'),
      waitMs: waitSeconds * 1000,
    },
    { signal },
  );
  return onWire(result);
}

/** @throws NotFound | GuestUnavailable | GuestRefused it knows no such process, or has told of its end */
export async function awaitGuestCommand(
  deps: Deps,
  access: Operator,
  id: InstanceId,
  pid: number,
  waitSeconds: number,
  signal?: AbortSignal,
): Promise<GuestCommandResult> {
  const { host_id } = await requireInstance(deps.db, access, id);
  const process = { pid, waitMs: waitSeconds * 1000 };
  return onWire(await deps.agents.agentOf(host_id).guestAwaitCommand(id, process, { signal }));
}

const onWire = ({ stdout, stderr, ...result }: AgentCommandResult): GuestCommandResult => ({
  ...result,
  stdout: stdout.toString('base64'),
  stderr: stderr.toString('base64'),
});

export async function getGuestFileStatus(
  deps: Deps,
  access: Operator,
  id: InstanceId,
  path: string,
  signal?: AbortSignal,
): Promise<GuestFileStatus> {
  const { host_id } = await requireInstance(deps.db, access, id);
  return deps.agents.agentOf(host_id).guestFileStatus(id, path, { signal });
}

/** The first piece of a file is told in an event, the others go with it. */
export async function readGuestFile(
  deps: Deps,
  access: Operator,
  id: InstanceId,
  { path, offset = 0, length = maxGuestPieceBytes }: { path: string; offset?: number; length?: number },
  signal?: AbortSignal,
): Promise<{ data: string; endOfFile: boolean }> {
  const told = {
    type: 'instance.guest-file-read',
    message: (name: string) => `A file of ${name} is read.`,
    data: { path },
  };
  const agent = await toldAgent(deps, access, id, offset === 0 ? told : undefined);
  const { bytes, endOfFile } = await agent.guestReadFile(id, { path, offset, length }, { signal });
  return { data: bytes.toString('base64'), endOfFile };
}

export async function writeGuestFile(
  deps: Deps,
  access: Operator,
  id: InstanceId,
  { path, offset = 0, data, mode }: { path: string; offset?: number; data: string; mode?: number },
  signal?: AbortSignal,
): Promise<Record<string, never>> {
  const told = {
    type: 'instance.guest-file-written',
    message: (name: string) => `A file of ${name} is written.`,
    data: { path },
  };
  const agent = await toldAgent(deps, access, id, offset === 0 ? told : undefined);
  await agent.guestWriteFile(id, { path, offset, bytes: Buffer.from(data, 'base64'), mode }, { signal });
  return {};
}

export async function setGuestPassword(
  deps: Deps,
  access: Operator,
  id: InstanceId,
  login: { user: string; password: string },
): Promise<Record<string, never>> {
  const agent = await toldAgent(deps, access, id, {
    type: 'instance.guest-password',
    message: (name) => `The password of ${login.user} in ${name} is set.`,
    data: { user: login.user },
  });
  await agent.guestSetPassword(id, login);
  return {};
}

export async function setGuestKeys(
  deps: Deps,
  access: Operator,
  id: InstanceId,
  { user, keys, replace = false }: { user: string; keys: string[]; replace?: boolean },
): Promise<Record<string, never>> {
  const agent = await toldAgent(deps, access, id, {
    type: 'instance.guest-keys',
    message: (name) => `SSH keys of ${user} in ${name} are ${replace ? 'replaced' : 'added'}.`,
    data: { user, keys, replace },
  });
  await agent.guestSetKeys(id, { user, keys, replace });
  return {};
}

/** The agent of the host, once the event is written. */
async function toldAgent(deps: Deps, access: Operator, id: InstanceId, told: Told | undefined): Promise<HostAgent> {
  const row = await requireInstance(deps.db, access, id);
  if (told) await tell(deps, access, row, told);
  return deps.agents.agentOf(row.host_id);
}

async function tell(deps: Deps, access: Operator, row: InstanceRow, { type, message, data }: Told): Promise<void> {
  await inTransaction(deps.db, (tx) =>
    appendEvent(tx, access, { ...about(row, type), message: message(row.name), ...(data ? { data } : {}) }),
  );
}
