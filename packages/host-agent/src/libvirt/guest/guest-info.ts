// What a guest tells of itself through its agent. Asks only what that agent knows and may do; what one command gets wrong
// is left out, and does not hide the rest.
import type { CallContext } from '@virga/contract/agent/agent';
import type { GuestInfo } from '@virga/contract/agent/guest';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { type AgentCommand, askGuest, supportedCommands } from './guest-agent.ts';

type Os = { id?: string; 'pretty-name'?: string; name?: string; 'kernel-release'?: string };
type Interface = {
  name: string;
  'hardware-address'?: string;
  'ip-addresses'?: { 'ip-address': string; prefix: number }[];
};
type FileSystem = { name: string; mountpoint: string; type: string; 'used-bytes'?: number; 'total-bytes'?: number };
type LoggedIn = { user: string; 'login-time': number };

export async function guestInfo(
  context: AgentContext,
  id: InstanceId,
  { signal }: CallContext = {},
): Promise<GuestInfo> {
  const ask = (command: AgentCommand) => askGuest(context, id, command, signal);
  const { version, commands } = await supportedCommands(ask);
  const told = async <T>(execute: string): Promise<T | undefined> => {
    if (commands.get(execute) !== true) return undefined;
    try {
      return (await ask({ execute })) as T;
    } catch (error) {
      if (error instanceof VirgaError && error.code === 'GuestRefused') return undefined;
      throw error;
    }
  };
  const os = await told<Os>('guest-get-osinfo');
  return {
    agentVersion: version,
    hostName: (await told<{ 'host-name': string }>('guest-get-host-name'))?.['host-name'] ?? null,
    osId: os?.id ?? null,
    osName: os?.['pretty-name'] ?? os?.name ?? null,
    kernel: os?.['kernel-release'] ?? null,
    timeZone: (await told<{ zone?: string }>('guest-get-timezone'))?.zone ?? null,
    users: ((await told<LoggedIn[]>('guest-get-users')) ?? []).map((login) => ({
      name: login.user,
      since: new Date(login['login-time'] * 1000),
    })),
    interfaces: ((await told<Interface[]>('guest-network-get-interfaces')) ?? []).map((card) => ({
      name: card.name,
      mac: card['hardware-address'] ?? null,
      addresses: (card['ip-addresses'] ?? []).map((address) => `${address['ip-address']}/${address.prefix}`),
    })),
    fileSystems: ((await told<FileSystem[]>('guest-get-fsinfo')) ?? []).map((mounted) => ({
      mountPoint: mounted.mountpoint,
      device: mounted.name,
      type: mounted.type,
      totalBytes: mounted['total-bytes'] ?? null,
      usedBytes: mounted['used-bytes'] ?? null,
    })),
    frozen: (await told<string>('guest-fsfreeze-status')) === 'frozen',
  };
}
