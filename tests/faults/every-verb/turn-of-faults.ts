// One act of a host that nobody waits for, with a fault at each of its steps in turn, while it goes on: it gets to its end all the
// same, and nothing is left behind.
import { until } from '@virga/testing/until';
import type { LibvirtCloud } from '../libvirt-cloud.ts';
import type { Fault } from './fault-run.ts';
import { nothingLeft } from './nothing-left.ts';

export type Act = {
  name: string;
  steps: readonly string[];
  /** Asked for at first, and once more after each fault, which what failed does not have to wait for then. */
  ask(): Promise<unknown>;
  /** The guest that is about it, if there is one. */
  domainName(): Promise<string>;
  holds(): Promise<boolean>;
};

/** A guest of the starter image boots several times. */
const patience = { timeoutMs: 120_000 };

/** @returns the steps at which there was a fault */
export async function everyStepInTurn(setting: LibvirtCloud, act: Act, fault: Fault): Promise<string[]> {
  const { cloud } = setting;
  const struck: string[] = [];
  const [first, ...others] = act.steps;
  let { held } = await cloud.holdAtStep(first!);
  await act.ask();
  for (const [index, step] of act.steps.entries()) {
    const next = others[index];
    try {
      await within(held, `${step} is reached`);
      if (await fault.strike(setting, { domainName: await act.domainName() })) struck.push(step);
      if (fault.endsServer && next !== undefined) ({ held } = await cloud.startHeldAt(next));
      else if (fault.endsServer) await cloud.start();
      else if (next !== undefined) ({ held } = await cloud.goOnTo(next));
      else cloud.goOn();
      // Not every fault waits for it.
      const end = next === undefined ? until('its end', act.holds, patience).catch(() => undefined) : held;
      if (!fault.endsServer) await fault.heal(setting, end);
      await until('it is asked for again', () => act.ask().then(() => true));
    } catch (error) {
      throw new Error(`${act.name}, ${fault.name} at ${step}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  }
  await until(`${act.name} holds`, act.holds, patience);
  await nothingLeft(setting);
  return struck;
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let answer: { value: T } | undefined;
  promise.then((value) => {
    answer = { value };
  });
  return (await until(what, () => answer, patience)).value;
}
