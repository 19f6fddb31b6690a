// The CPU model that guests see. By itself each host gives its own, as libvirt describes it; with a baseline all guests get what
// all hosts can give, so that any could run anywhere. libvirt computes it; here is who is asked, and what is written down.
import type { GuestCpuModel } from '@virga/contract/agent/cpu-map';
import { VirgaError } from '@virga/contract/errors';
import type { CpuBaseline } from '@virga/contract/rest/host-cpus';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { readGuestModel, writeGuestModel } from './cpu-pools.ts';

type Asked = { host: RegisteredHost; cpu: string | undefined; canGive: boolean | null };

/** Hosts that do not answer are left out, and said to be. */
export async function getCpuBaseline(deps: Deps, _access: CloudAccess): Promise<CpuBaseline> {
  const model = await readGuestModel(deps.db);
  const asked = await Promise.all(deps.agents.all().map((host) => askHost(host, model)));
  return reportOf(model, asked, await baselineOf(asked).catch(notComputable));
}

/**
 * Gives guests the baseline, as of their next start, or lets each host give its own again.
 * @throws HostUnavailable one host does not answer: it could turn out not to be able to
 * @throws HostIncapable libvirt finds nothing that they have in common
 */
export async function setCpuBaseline(
  deps: Deps,
  access: CloudAccess<'admin'>,
  use: 'baseline' | 'host',
): Promise<CpuBaseline> {
  const model = use === 'host' ? null : await requireBaseline(deps);
  await inTransaction(deps.db, async (tx) => {
    await writeGuestModel(tx, access, model);
    await appendEvent(tx, access, {
      type: 'cloud.cpu-model-changed',
      projectId: null,
      message:
        model === null
          ? 'Guests are given the CPU of their host, as of their next start.'
          : `Guests are given the CPU model ${model.name}, as of their next start.`,
      data: { model },
    });
  });
  return getCpuBaseline(deps, access);
}

async function requireBaseline(deps: Deps): Promise<GuestCpuModel> {
  const asked = await Promise.all(deps.agents.all().map((host) => askHost(host, null)));
  const silent = asked.find(({ cpu }) => cpu === undefined);
  if (silent) {
    throw new VirgaError('HostUnavailable', {
      detail: `Host ${silent.host.name} does not answer, and what it can give its guests is not known.`,
      action: 'Try again when all hosts are ready: virga hosts.',
    });
  }
  const baseline = await baselineOf(asked).catch((error) => {
    throw error instanceof VirgaError && error.code === 'HypervisorRefused' ? nothingInCommon(error) : error;
  });
  if (baseline === null) throw nothingInCommon();
  for (const { host } of asked) {
    if (await host.agent.canGiveCpu(baseline)) continue;
    throw new VirgaError('HostIncapable', {
      detail: `Host ${host.name} cannot give its guests the model ${baseline.name}, which libvirt computed of all hosts.`,
      action: 'Leave each host to give its own: virga hosts baseline --drop.',
    });
  }
  return baseline;
}

async function askHost(host: RegisteredHost, model: GuestCpuModel | null): Promise<Asked> {
  try {
    const cpu = await host.agent.guestCpu();
    return { host, cpu, canGive: model && (await host.agent.canGiveCpu(model)) };
  } catch (error) {
    if (error instanceof VirgaError && error.code === 'HostUnavailable') return { host, cpu: undefined, canGive: null };
    throw error;
  }
}

async function baselineOf(asked: readonly Asked[]): Promise<GuestCpuModel | null> {
  const known = asked.filter((one): one is Asked & { cpu: string } => one.cpu !== undefined);
  const [first] = known;
  return first ? first.host.agent.baselineCpu(known.map(({ cpu }) => cpu)) : null;
}

function notComputable(error: unknown): null {
  if (error instanceof VirgaError && ['HypervisorRefused', 'HostUnavailable'].includes(error.code)) return null;
  throw error;
}

const reportOf = (
  model: GuestCpuModel | null,
  asked: readonly Asked[],
  baseline: GuestCpuModel | null,
): CpuBaseline => ({
  model,
  baseline,
  hosts: asked.map(({ host, cpu, canGive }) => ({
    hostId: host.id,
    hostName: host.name,
    cpu: cpu === undefined ? null : (/<model[^>]*>([^<]*)</.exec(cpu)?.[1] ?? null),
    canGive,
  })),
});

const nothingInCommon = (cause?: unknown) =>
  new VirgaError('HostIncapable', {
    detail: 'The processors of the hosts have no CPU model in common that guests could be given.',
    action: 'Leave each host to give its own, which is so by itself.',
    cause,
  });
