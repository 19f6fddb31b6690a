// Lets a test stop a server in the middle of a call to a host, for good, as SIGKILL does: before a step of a simulated
// host, or after a call has done its work but before the control plane gets the answer.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { HostAgent } from '@virga/contract/agent/agent';

/** One run of a server. Calls to hosts know which server they belong to, also when another one has taken over. */
export class ServerLife {
  readonly #point: { name: string; reached: () => void }[] = [];
  #isOver = false;

  /** Resolves when the server has come to the point, where it then stays. */
  freezeAt(name: string): Promise<void> {
    return new Promise((resolve) => this.#point.push({ name, reached: resolve }));
  }

  /** From now on no call to a host goes one step further. */
  end(): void {
    this.#isOver = true;
  }

  async pass(name: string): Promise<void> {
    const index = this.#point.findIndex((point) => point.name === name);
    if (index >= 0) this.#point.splice(index, 1)[0]?.reached();
    if (index >= 0 || this.#isOver) await new Promise(() => {});
  }
}

const lives = new AsyncLocalStorage<ServerLife>();

/** Runs `work`, and all that it starts, as that server. */
export const liveAs = <T>(life: ServerLife, work: () => T): T => lives.run(life, work);

/** The hook of a simulated host: called before each step. */
export const freezingHook = async (step: string): Promise<void> => lives.getStore()?.pass(step);

const acts = [
  'applyInstance',
  'deleteInstance',
  'releaseInstance',
  'applyNetwork',
  'deleteNetwork',
  'importImage',
  'buildImage',
  'deleteImage',
  'applyVolume',
  'applySnapshot',
  'revertSnapshot',
  'deleteSnapshot',
  'makeClone',
  'deleteVolume',
  'applyTemplate',
  'applyShell',
  'applyTuning',
  'keepTuning',
] as const;

/** The agent, with points named `after applyInstance` and so on. */
export function freezable<A extends HostAgent>(agent: A): A {
  return new Proxy(agent, {
    get(target, property) {
      const value = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (!(acts as readonly unknown[]).includes(property)) return value.bind(target);
      return async (...parameters: unknown[]) => {
        const answer = await value.apply(target, parameters);
        await lives.getStore()?.pass(`after ${String(property)}`);
        return answer;
      };
    },
  });
}
