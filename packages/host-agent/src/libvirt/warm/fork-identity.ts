// The guest's part: /usr/libexec/virga/fork-identity, which an image has when it can be copied while it runs. Owns what it is
// told, and how long it may take. It is called by the guest agent, the only way to a machine that has no network card.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { isLibvirtError } from '../hypervisor-errors.ts';
import type { FoundNetwork } from '../networks/network-names.ts';

const program = '/usr/libexec/virga/fork-identity';
const randomCount = 64;
/** An emulated machine boots in seconds, and Debian in a few minutes. */
const bootMs = 300_000;
const prepareMs = 120_000;
/** Half a second, or many on a busy host. A boot would take longer yet. */
const identityMs = 60_000;
const agentMs = 30_000;

/** Waits until the guest has booted and has nothing that two machines must not share. */
export async function prepareToBeCopied(connection: Connection, ref: DomainRef, signal: AbortSignal | undefined) {
  await agentAnswers(connection, ref, { limitMs: bootMs, pauseMs: 200, signal });
  await run(connection, ref, { arg: ['--prepare'], limitMs: prepareMs, pauseMs: 200, signal });
}

/** Makes a copy the instance. It has no network card yet, so nobody can have reached it. */
export async function becomeInstance(
  connection: Connection,
  ref: DomainRef,
  desired: DesiredInstance,
  networks: ReadonlyMap<string, FoundNetwork>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await agentAnswers(connection, ref, { limitMs: agentMs, pauseMs: 10, signal });
  const input = identityLines(desired, networks, new Date());
  await run(connection, ref, { arg: [], input, limitMs: identityMs, pauseMs: 25, signal });
}

/** What a copy is told. Words and their values, one a line; none can hold a line end. */
export function identityLines(
  { id, seed, nics }: DesiredInstance,
  networks: ReadonlyMap<string, FoundNetwork>,
  now: Date,
  random: Buffer = randomBytes(randomCount),
): string {
  const cards = nics.map(({ mac, address, networkId }) => {
    const { gateway, prefix } = networks.get(networkId)!.defined;
    return `card ${mac} ${address}/${prefix} ${gateway} ${gateway}`;
  });
  const lines = [
    `time ${Math.floor(now.getTime() / 1000)}`,
    `random ${random.toString('base64')}`,
    `instance-id ${id}`,
    `host-name ${seed.hostName}`,
    ...seed.publicKeys.map((key) => `public-key ${key}`),
    ...cards,
    ...(seed.userData === null ? [] : ['user-data']),
  ];
  return `${lines.map((line) => line.replaceAll(/[\r\n]+/g, ' ')).join('\n')}\n`;
}

type Patience = { limitMs: number; pauseMs: number; signal: AbortSignal | undefined };

/** A guest that goes on from memory has an agent at once, but libvirt learns of it a moment later. */
async function agentAnswers({ domains }: Connection, ref: DomainRef, { limitMs, pauseMs, signal }: Patience) {
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    try {
      await domains.agentCommand(ref, { execute: 'guest-ping' }, { agentTimeoutSeconds: 5 });
      return;
    } catch (error) {
      const isAway = isLibvirtError(error, 'AGENT_UNRESPONSIVE', 'AGENT_UNSYNCED', 'OPERATION_TIMEOUT');
      if (!isAway || performance.now() > deadlineMs) throw error;
    }
    await delay(pauseMs, undefined, { signal });
  }
}

type Status = { exited: boolean; exitcode?: number; 'out-data'?: string; 'err-data'?: string };

async function run(
  { domains }: Connection,
  ref: DomainRef,
  options: Patience & { arg: string[]; input?: string },
): Promise<void> {
  const { arg, input, limitMs, pauseMs, signal } = options;
  const data = input === undefined ? {} : { 'input-data': Buffer.from(input).toString('base64') };
  const command = { execute: 'guest-exec', arguments: { path: program, arg, 'capture-output': true, ...data } };
  const { pid } = (await domains.agentCommand(ref, command, { agentTimeoutSeconds: 15 })) as { pid: number };
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    await delay(pauseMs, undefined, { signal });
    const asked = { execute: 'guest-exec-status', arguments: { pid } };
    const status = (await domains.agentCommand(ref, asked, { agentTimeoutSeconds: 15 })) as Status;
    if (status.exited && status.exitcode === 0) return;
    if (status.exited) throw new Error(`${program} ended with ${status.exitcode}: ${textOf(status)}`);
    if (performance.now() > deadlineMs) throw new Error(`${program} took more than ${limitMs / 1000} s`);
  }
}

const textOf = (status: Status): string =>
  Buffer.from(status['err-data'] ?? status['out-data'] ?? '', 'base64')
    .toString('utf8')
    .trim()
    .slice(0, 500);
