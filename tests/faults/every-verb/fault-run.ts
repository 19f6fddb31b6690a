// Does every verb again and again, with a fault at another step of the host agent each time, until it has none left. After each
// fault the operation has to end, the API has to say what libvirt says, the verb has to succeed when it is asked for
// again, and nothing may be lost or left behind.
import { randomBytes } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import type { Operation } from '@virga/contract/rest/operations';
import { until } from '@virga/testing/until';
import { type LibvirtCloud, virsh } from '../libvirt-cloud.ts';
import { nothingFromOutside, nothingLeft } from './nothing-left.ts';
import type { Changed, VerbUnderFault } from './verb-under-fault.ts';

export type Fault = {
  name: string;
  /** Does the damage while the step is held. Answers false when it has nothing to damage there. */
  strike(setting: LibvirtCloud, guest: Pick<Instance, 'domainName'>): Promise<boolean>;
  /** Takes the damage away, after the step went on. */
  heal(setting: LibvirtCloud, ended: Promise<unknown>): Promise<void>;
  /** What the guest had in its memory is gone. */
  takesMemory?: true;
  /** The damage ends the server itself. */
  endsServer?: true;
};

/** On a machine with a lot else to do; what was tried in vain waits longer each time. */
const patience = { timeoutMs: 90_000 };

export type Tally = {
  faults: number;
  failedThenDone: number;
  steps: string[];
  /** What the next verb may be asked of. */
  instance: Instance | undefined;
};

/**
 * @param last an instance that another verb has left, to spare a launch
 * @throws Error something was lost, left behind, or untrue
 */
export async function everyStepOf(
  setting: LibvirtCloud,
  verb: VerbUnderFault,
  fault: Fault,
  last?: Instance | undefined,
): Promise<Tally> {
  const tally: Tally = { faults: 0, failedThenDone: 0, steps: [], instance: undefined };
  const isOfItsOwn = verb.creates || verb.make !== undefined;
  let instance = isOfItsOwn ? undefined : last;
  for (let number = 1; ; number++) {
    const { cloud } = setting;
    const at = verb.steps ? verb.steps[number - 1] : number;
    if (at === undefined) return { ...tally, instance: isOfItsOwn ? last : instance };
    const before = verb.creates ? undefined : await prepared(setting, verb, instance);
    await verb.ready?.();
    const ask = () => patiently(() => verb.ask(cloud.client, before as Instance));
    const { held } = await cloud.holdAtStep(at);
    const asked = await ask();
    // What is made by a verb that creates is another one each time; a failed one is gone.
    instance = before ?? asked.instance!;
    const step = await Promise.race([held, ended(setting, asked.operationId).then(() => undefined)]);
    if (step === undefined) {
      cloud.goOn();
      if (verb.steps) throw new Error(`${verb.name} has no step ${at}`);
      await settled(setting, verb, instance.id);
      if (isOfItsOwn) await cleanUp(setting, verb, instance.id);
      await verb.after?.();
      return { ...tally, instance: isOfItsOwn ? last : instance };
    }
    try {
      const domainName = verb.domainName?.(instance) ?? instance.domainName;
      if (await fault.strike(setting, { domainName })) {
        tally.faults++;
        tally.steps.push(step);
      }
      if (!fault.endsServer) cloud.goOn();
      await fault.heal(setting, fault.endsServer ? Promise.resolve() : ended(setting, asked.operationId));
      const operation = await ended(setting, asked.operationId);
      if (operation.state === 'failed') {
        tally.failedThenDone++;
        await agrees(setting, instance.id);
        // What was made and stands still for want of room goes on by itself.
        const isMade = verb.creates && (await find(setting, instance.id)) !== undefined;
        const again = isMade ? undefined : await askAgain(ask);
        if (again !== undefined) await succeed(setting, again);
        if (verb.creates && again?.instance) instance = again.instance;
      }
      await settled(setting, verb, instance.id, fault);
      if (verb.creates) await cleanUp(setting, verb, instance.id);
    } catch (error) {
      const context = `${verb.name}, ${fault.name} at ${step} (${number})`;
      throw new Error(`${context}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}

/** Nothing when it came true all the same, and there is nothing left to ask for. */
const askAgain = (ask: () => Promise<Changed>): Promise<Changed | undefined> =>
  ask().catch((error) => {
    if (error instanceof VirgaError && (error.code === 'NotFound' || error.code === 'Conflict')) return undefined;
    throw error;
  });

/** A running instance that the verb can be asked of, made anew when the last one is gone. */
async function prepared(setting: LibvirtCloud, verb: VerbUnderFault, last: Instance | undefined): Promise<Instance> {
  const { client } = setting.cloud;
  const found = last && (await find(setting, last.id));
  const making = found ? undefined : await patiently(() => made(setting, verb));
  const instance = (found ?? making?.instance) as Instance;
  const { id } = instance;
  if (making !== undefined) await succeed(setting, making);
  else if (instance.state === 'paused')
    await succeed(setting, await patiently(() => client.resumeInstance({ params: { id } })));
  else if (instance.state !== 'running')
    await succeed(setting, await patiently(() => client.startInstance({ params: { id } })));
  for (const step of verb.before ?? []) {
    const change = await patiently(async () => step(client, await client.getInstance({ params: { id } })));
    if (change !== undefined) await succeed(setting, change);
  }
  return client.getInstance({ params: { id } });
}

/** A host that was away or full a moment ago may be told of as that only now: what is refused for it is asked for again. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const answer = await until(
    'the host takes requests',
    async () => {
      try {
        return { value: await ask() };
      } catch (error) {
        if (error instanceof VirgaError && ['HostUnavailable', 'StorageFull'].includes(error.code)) return undefined;
        return { error };
      }
    },
    { ...patience, intervalMs: 100 },
  );
  if ('error' in answer) throw answer.error;
  return answer.value;
}

async function made({ cloud, spec }: LibvirtCloud, { make }: VerbUnderFault) {
  if (make !== undefined) return make(cloud.client);
  return cloud.client.launchInstance({ body: { ...spec, name: `vm-${randomBytes(4).toString('hex')}` } });
}

async function succeed(setting: LibvirtCloud, { operationId }: { operationId: OperationId }): Promise<void> {
  const { state, kind, error } = await ended(setting, operationId);
  if (state === 'failed') throw new Error(`${kind}: ${error?.detail}`);
}

const ended = (setting: LibvirtCloud, id: OperationId): Promise<Operation> =>
  until(
    `operation ${id} has ended`,
    async () => {
      const operation = await setting.cloud.client.getOperation({ params: { id }, query: { waitSeconds: 5 } });
      return operation.state === 'succeeded' || operation.state === 'failed' ? operation : undefined;
    },
    patience,
  );

async function find(setting: LibvirtCloud, id: InstanceId): Promise<Instance | undefined> {
  return (await setting.cloud.client.listInstances({ query: {} })).items.find((instance) => instance.id === id);
}

async function settled(setting: LibvirtCloud, verb: VerbUnderFault, id: InstanceId, fault?: Fault): Promise<void> {
  let seen: Instance | undefined;
  await until(
    'what was asked for holds',
    async () => {
      seen = await find(setting, id);
      if (fault?.takesMemory && verb.withoutMemory?.(seen)) return true;
      return verb.holds(seen, setting);
    },
    patience,
  ).catch((error) => {
    throw new Error(`it is ${seen?.state} (${seen?.observedState}): ${seen?.stateReason ?? error.message}`);
  });
  await agrees(setting, id);
  await nothingLeft(setting, verb.leavesDomains);
  await nothingFromOutside(setting);
}

/** The API and libvirt say the same of an instance, as soon as nothing is under way. */
async function agrees(setting: LibvirtCloud, id: InstanceId): Promise<void> {
  let said = '';
  await until(
    'the API says what libvirt says',
    async () => {
      const instance = await find(setting, id);
      const domain = await domainState(id, instance?.domainName);
      said = `${instance?.observedState ?? 'nothing'}, libvirt ${domain}`;
      return (instance?.observedState ?? 'absent') === domain;
    },
    // Each look is a process of virsh.
    { ...patience, intervalMs: 150 },
  ).catch(() => {
    throw new Error(`the API says ${said}`);
  });
}

async function domainState(id: InstanceId, domainName: string | undefined): Promise<string> {
  const domains = (await virsh('list', '--all', '--managed-save'))
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));
  const states = domains.flatMap(([, name = '', state = '']) =>
    name.endsWith(id) || name === domainName ? [state] : [],
  );
  if (states.length > 1) throw new Error(`${id} is there ${states.length} times`);
  const [state = 'absent'] = states;
  return { idle: 'running', 'shut off': 'stopped', saved: 'hibernated' }[state] ?? state;
}

async function cleanUp(setting: LibvirtCloud, { leavesDomains }: VerbUnderFault, id: InstanceId): Promise<void> {
  if ((await find(setting, id)) === undefined) return;
  await succeed(setting, await setting.cloud.client.deleteInstance({ query: {}, params: { id } }));
  await nothingLeft(setting, leavesDomains);
}
