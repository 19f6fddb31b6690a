// From a machine with everything installed to a cloud with an instance to log in to: the phases, in their order, and
// what a person reads at the end. May be run at any time; what is as it should be stays untouched.
import { isWell, summary } from '@virga/cli/commands/hosts/host-check-view';
import type { CommandContext } from '@virga/cli/context';
import type { HostCheckResult } from '@virga/contract/agent/host-checks';
import type { Instance } from '@virga/contract/rest/instances';
import { type Folders, foldersOf } from '../server/folders.ts';
import { requireRoot } from '../server/run-server.ts';
import { agree } from './agreement.ts';
import { Cloud } from './cloud.ts';
import { findFirst, firstInstanceName, firstInstancePhase } from './first-instance-phase.ts';
import { hostPhase } from './host-phase.ts';
import { imagePhase } from './image-phase.ts';
import { kernelPhase } from './kernel-phase.ts';
import { keyPhase } from './key-phase.ts';
import { libvirtPhase } from './libvirt-phase.ts';
import { loginPhase, profileNameOf } from './login-phase.ts';
import { networkPhase } from './network-phase.ts';
import { commandName, pathPhase } from './path-phase.ts';
import { hasChanges, type Phase, planPhases, planText } from './phase.ts';
import { runPhases } from './run-phases.ts';
import { serverPhase, settingsFromPort } from './server-phase.ts';

export type UpOptions = {
  state: string;
  port: number | undefined;
  yes: boolean;
  plan: boolean;
  noInstance: boolean;
  starterImage: string | undefined;
};

export async function runUp(context: CommandContext, options: UpOptions): Promise<void> {
  requireRoot();
  const { io, print } = context;
  const folders = foldersOf(options.state);
  const signal = context.interrupt();
  const cloud = new Cloud(folders, signal);
  const plan = await planPhases(phasesOf(context, folders, cloud, options, signal));
  if (options.plan)
    return print.result(
      plan.map(({ phase, changes }) => ({ title: phase.title, changes })),
      [planText(plan)],
      [],
    );
  if (hasChanges(plan)) {
    if (!options.yes) {
      io.stderr.write(`This will be done on this machine:\n\n${planText(plan)}\n\n`);
      await agree(io, 'Go on?');
    }
    await runPhases(plan, context.progress(), signal);
  }
  await report(context, cloud, profileNameOf(folders));
}

function phasesOf(
  { io: { env } }: CommandContext,
  folders: Folders,
  cloud: Cloud,
  options: UpOptions,
  signal: AbortSignal,
): Phase[] {
  return [
    hostPhase(folders),
    libvirtPhase(folders.run),
    kernelPhase(folders, options.starterImage),
    serverPhase(folders, settingsFromPort(folders, options.port)),
    loginPhase(cloud, env, profileNameOf(folders)),
    // Early, so that somebody can look around when a later phase fails.
    pathPhase(),
    imagePhase(folders, cloud, options.starterImage),
    networkPhase(cloud),
    keyPhase(cloud, env, profileNameOf(folders)),
    ...(options.noInstance ? [] : [firstInstancePhase({ folders, cloud, env, signal })]),
  ];
}

async function report({ io, print }: CommandContext, cloud: Cloud, profileName: string): Promise<void> {
  const client = cloud.requireClient();
  const server = cloud.login()?.server ?? '';
  const [instance, hosts] = await Promise.all([findFirst(client), client.listHosts({ query: {} })]);
  const [host] = hosts.items;
  const acceleration = host?.facts?.acceleration;
  const checks = host ? (await client.checkHost({ params: { id: host.id }, query: {} })).checks : [];
  const { currentProfile } = await (await import('@virga/cli/config/config-file')).readConfig(io.env);
  const virga = currentProfile === profileName ? commandName() : `${commandName()} --profile ${profileName}`;
  const lines = [
    '',
    'The cloud is up.',
    '',
    ...instanceLines(instance, virga),
    `  API       ${server}`,
    ...hostLines(checks, virga),
    '',
    'Next:',
    `  ${virga} launch web --image starter --type small --wait=ssh`,
    `  ${virga} list`,
    `  ${virga} --help`,
    '  script/down      stops the server; instances go on',
  ];
  await print.result({ server, instance: instance ?? null, acceleration: acceleration ?? null, checks }, lines, [
    server,
  ]);
}

/** What the checks of this host say, and what is not well; the rest is for those who ask. */
function hostLines(checks: readonly HostCheckResult[], virga: string): string[] {
  const troubles = checks.filter(({ verdict }) => verdict === 'warning' || verdict === 'failure');
  return [
    `  host      ${summary(checks)}`,
    ...troubles.map(({ verdict, name, seen }) => `            ${verdict} ${name}: ${seen}`),
    ...(checks.every(isWell) ? [] : [`            ${virga} hosts check says what to do`]),
  ];
}

function instanceLines(instance: Instance | undefined, virga: string): string[] {
  if (!instance) return [];
  const address = instance.networkInterfaces[0]?.address;
  if (instance.state !== 'running') {
    // After a restart of the machine it comes back by itself.
    const next = instance.desiredState === 'running' && instance.state !== 'error' ? 'show' : 'start';
    return [`  instance  ${firstInstanceName} is ${instance.state}: ${virga} ${next} ${firstInstanceName}`];
  }
  return [
    `  log in    ${virga} ssh ${firstInstanceName}      (${instance.loginUser}@${address})`,
    `  console   ${virga} console ${firstInstanceName}`,
    `  libvirt   virsh dominfo ${instance.domainName}`,
  ];
}
