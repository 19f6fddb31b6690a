// What one watcher has not read yet. When it falls far behind, single events give way to one new `ready` with all there
// is, so a slow reader costs no memory and misses no state.
import type { AgentEvent } from '@virga/contract/agent/observed';

const unreadLimit = 1_000;
/** Stands for a `ready` event, which is made when it is read. */
const snapshot = 'snapshot';

export class EventFeed {
  readonly cloudId: string;
  private unread: (AgentEvent | typeof snapshot)[] = [];
  private wake: (() => void) | undefined;
  private ended = false;

  constructor(cloudId: string) {
    this.cloudId = cloudId;
  }

  push(event: AgentEvent): void {
    // The snapshot will be newer than this event.
    if (this.unread.at(-1) === snapshot && event.type !== 'unreachable') return;
    if (this.unread.length >= unreadLimit) this.unread = event.type === 'unreachable' ? [event] : [snapshot];
    else this.unread.push(event);
    this.wake?.();
  }

  /** Everything anew. */
  pushSnapshot(): void {
    if (this.unread.at(-1) !== snapshot) this.unread.push(snapshot);
    this.wake?.();
  }

  /** Nothing is read any more, not even what is there. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** The events as they come, until {@link end}. */
  async *read(takeSnapshot: () => AgentEvent): AsyncGenerator<AgentEvent, void, undefined> {
    while (!this.ended) {
      const event = this.unread.shift();
      if (event !== undefined) {
        yield event === snapshot ? takeSnapshot() : event;
        continue;
      }
      const woken = Promise.withResolvers<void>();
      this.wake = woken.resolve;
      await woken.promise;
      this.wake = undefined;
    }
  }
}
