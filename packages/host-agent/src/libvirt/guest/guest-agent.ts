// One command to the agent inside of a guest, and what it means when it fails. Owns how long a guest may take, that a guest
// is asked one thing at a time, and the sentences; no command of its own but those that find out why another one failed.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { LibvirtError } from '@virga/libvirt/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { requireDomain } from '../instances/require-domain.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';

const agentChannel = 'org.qemu.guest_agent.0';
/** An emulated guest on a busy host may need seconds for the least of answers. */
const answerSeconds = 15;

export type AgentCommand = { execute: string; arguments?: Record<string, unknown> };
export type SupportedCommand = { name: string; enabled: boolean };

/**
 * Sends one command, and returns what the agent answers.
 * @throws GuestUnavailable | GuestRefused | NotFound
 */
export async function askGuest(
  context: AgentContext,
  id: InstanceId,
  command: AgentCommand,
  signal?: AbortSignal,
): Promise<unknown> {
  return context.locks.run(`guest ${id}`, () =>
    context.hypervisor.reach(`ask the guest agent of ${id}`, async (connection) => {
      signal?.throwIfAborted();
      const domain = await requireDomain(context, connection, id);
      try {
        return await send(connection, domain, command);
      } catch (error) {
        throw await explained(connection, domain, command.execute, error);
      }
    }),
  );
}

const send = (connection: Connection, domain: DomainRef, command: AgentCommand): Promise<unknown> =>
  connection.domains.agentCommand(domain, command, { agentTimeoutSeconds: answerSeconds });

/** What the agent knows, and of that what it may do now. */
export async function supportedCommands(
  ask: (command: AgentCommand) => Promise<unknown>,
): Promise<{ version: string; commands: Map<string, boolean> }> {
  const { version, supported_commands } = (await ask({ execute: 'guest-info' })) as {
    version: string;
    supported_commands: SupportedCommand[];
  };
  return { version, commands: new Map(supported_commands.map(({ name, enabled }) => [name, enabled])) };
}

export const isFrozen = async (ask: (command: AgentCommand) => Promise<unknown>): Promise<boolean> =>
  (await ask({ execute: 'guest-fsfreeze-status' })) === 'frozen';

async function explained(connection: Connection, domain: DomainRef, command: string, error: unknown): Promise<unknown> {
  if (isLibvirtError(error, 'INTERNAL_ERROR', 'OPERATION_FAILED')) {
    return whyRefused(connection, domain, command, error as LibvirtError);
  }
  const isAway = isLibvirtError(
    error,
    ...(['AGENT_UNRESPONSIVE', 'AGENT_UNSYNCED', 'OPERATION_INVALID', 'OPERATION_TIMEOUT'] as const),
    ...(['ARGUMENT_UNSUPPORTED', 'OPERATION_UNSUPPORTED', 'CONFIG_UNSUPPORTED', 'RESOURCE_BUSY'] as const),
  );
  return isAway ? whyAway(connection, domain, error) : error;
}

/** Nobody answered: what of all that it takes is missing. */
async function whyAway(connection: Connection, domain: DomainRef, cause: unknown): Promise<unknown> {
  const { name } = domain;
  const unavailable = (detail: string, action: string) => new VirgaError('GuestUnavailable', { detail, action, cause });
  const { state, reason } = await connection.domains.state(domain);
  if (state === 'off' || state === 'crashed') {
    return unavailable(`${name} does not run, so nothing in it answers.`, 'Start it first.');
  }
  if (state === 'paused' && reason === 'starting-up') {
    return unavailable(`${name} is being started, so nothing in it answers yet.`, 'Wait until it has booted.');
  }
  if (state === 'paused' || state === 'pm-suspended') {
    return unavailable(`${name} is paused, so nothing in it answers.`, 'Let it go on first.');
  }
  const devices = childAt(parseXml(await connection.domains.xml(domain)), 'devices');
  const channel = childrenOf(devices, 'channel')
    .map((element) => childAt(element, 'target')?.attributes)
    .find((target) => target?.name === agentChannel);
  if (channel === undefined) {
    return unavailable(
      `${name} has no channel through which a guest agent could be asked.`,
      'Use its console or SSH instead, or launch it with virtio hardware.',
    );
  }
  if (channel.state !== 'connected') {
    return unavailable(
      `No guest agent runs in ${name}.`,
      'Wait until it has booted; if there is still none, install and start the package qemu-guest-agent in it.',
    );
  }
  return unavailable(
    `The guest agent of ${name} does not answer.`,
    'Try again; if it stays so, restart the service qemu-guest-agent in it, through its console or SSH.',
  );
}

/** The agent answered that it will not: because of a setting, because it is frozen, or because of what was asked. */
async function whyRefused(
  connection: Connection,
  domain: DomainRef,
  command: string,
  cause: LibvirtError,
): Promise<VirgaError> {
  const { name } = domain;
  const refused = (detail: string, action: string) => new VirgaError('GuestRefused', { detail, action, cause });
  const ask = (asked: AgentCommand) => send(connection, domain, asked);
  const may = await supportedCommands(ask).then(
    ({ commands }) => commands.get(command),
    () => true,
  );
  if (may === undefined) {
    return refused(
      `The guest agent of ${name} is too old, or made for another system: it does not know ${command}.`,
      'Bring the package qemu-guest-agent in the guest up to date.',
    );
  }
  if (!may && (await isFrozen(ask).catch(() => false))) {
    return refused(`The file systems of ${name} are frozen.`, `Let them go on first: virga guest thaw.`);
  }
  if (!may) {
    return refused(
      `The guest agent of ${name} has ${command} disabled.`,
      'Enable it in the guest, by block-rpcs (before: blacklist) in /etc/qemu/qemu-ga.conf, or on Red Hat systems by FILTER_RPC_ARGS or BLACKLIST_RPC in /etc/sysconfig/qemu-ga, and restart qemu-guest-agent.',
    );
  }
  return refused(
    `The guest agent of ${name} refused: ${sentenceOf(cause.message)}`,
    'Mend what it says, and try again.',
  );
}

/** libvirt puts words of its own before those of the agent. */
function sentenceOf(message: string): string {
  const words = message.replace(/^.*unable to execute QEMU agent command '[^']*': /s, '').trim();
  return /[.!?]$/.test(words) ? words : `${words}.`;
}
