// The steps of a story that is one test: what comes after a step that failed would only tell of that again.
import type { TestContext } from 'node:test';

export type Step = (name: string, work: () => Promise<void>) => Promise<void>;

/** @returns runs a step as a test of its own, or skips it when one before has failed */
export function stepsOf(t: TestContext): Step {
  let isBroken = false;
  return (name, work) =>
    t.test(name, { skip: isBroken }, async () => {
      isBroken = true;
      await work();
      isBroken = false;
    });
}
