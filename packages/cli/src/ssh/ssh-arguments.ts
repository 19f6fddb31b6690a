// The command line of ssh for an instance. Host keys are kept by instance id, in a file of our own: an address that was
// another instance's yesterday raises no alarm, and the user's known_hosts stays clean.
import { join } from 'node:path';

export type SshTarget = {
  instanceId: string;
  address: string;
  port: number;
  user: string;
  /** Private key; without one ssh uses the user's agent and default keys. */
  identityPath: string | undefined;
  configFolder: string;
};

export function sshArguments(target: SshTarget, command: readonly string[]): string[] {
  // ssh expands % in this path.
  const knownHosts = join(target.configFolder, 'known_hosts').replaceAll('%', '%%');
  return [
    ...(target.identityPath === undefined ? [] : ['-i', target.identityPath, '-o', 'IdentitiesOnly=yes']),
    ...['-o', 'StrictHostKeyChecking=accept-new'],
    ...['-o', `UserKnownHostsFile="${knownHosts}"`],
    ...['-o', `HostKeyAlias=${target.instanceId}`],
    ...['-o', 'CheckHostIP=no'],
    ...(target.port === 22 ? [] : ['-p', String(target.port)]),
    ...['-l', target.user],
    target.address,
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}
