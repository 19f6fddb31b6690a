// LISTEN/NOTIFY over one connection of its own. A notification is only a hint to look again: who misses one, because the
// connection broke, gets a `reconnected` call and looks at everything.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import pg from 'pg';
import type { Database } from './schema.ts';

const channels = [
  'instances',
  'networks',
  'volumes',
  'pools',
  'templates',
  'hosts',
  'imports',
  'backups',
  'snapshots',
  'tunings',
  'keepsakes',
  'operations',
  'workflows',
  'benchmarks',
  'events',
  'due',
] as const;
export type Channel = (typeof channels)[number];

/** What transactions are going to tell, which is sent in one go at their end. */
const heldBack = new WeakMap<Kysely<Database>, [channel: string, payload: string][]>();

/** Tells every listener, when and only when the transaction commits. */
export async function notify(db: Kysely<Database>, channel: Channel, payload = ''): Promise<void> {
  const held = heldBack.get(db);
  if (held) held.push([`virga_${channel}`, payload]);
  else await sql`select pg_notify(${`virga_${channel}`}, ${payload})`.execute(db);
}

/** Holds back what the transaction tells. Returns how to send it, which is to be done before the commit. */
export function holdNotifications(tx: Kysely<Database>): () => Promise<void> {
  const held: [channel: string, payload: string][] = [];
  heldBack.set(tx, held);
  return async () => {
    if (held.length === 0) return;
    const [told, payloads] = [held.map(([channel]) => channel), held.map(([, payload]) => payload)];
    await sql`select pg_notify(channel, payload)
      from unnest(${told}::text[], ${payloads}::text[]) as told (channel, payload)`.execute(tx);
  };
}

type Listener = (payload: string) => void;

export class Notifications {
  readonly #config: pg.ClientConfig;
  readonly #listeners = new Map<Channel, Set<Listener>>();
  readonly #reconnected = new Set<() => void>();
  #client: pg.Client | undefined;
  #closed = false;

  constructor(config: pg.ClientConfig) {
    this.#config = config;
  }

  async start(): Promise<void> {
    await this.#connect();
  }

  /** Calls `listener` for each notification on the channel. Returns how to stop. */
  subscribe(channel: Channel, listener: Listener): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Calls `listener` when notifications may have been missed. Returns how to stop. */
  onReconnected(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => this.#reconnected.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({ ...this.#config, keepAlive: true });
    client.on('error', () => {});
    client.on('end', () => void this.#reconnect(client));
    client.on('notification', ({ channel, payload }) => {
      for (const listener of this.#listeners.get(channel.replace('virga_', '') as Channel) ?? [])
        listener(payload ?? '');
    });
    try {
      await client.connect();
      await client.query(channels.map((channel) => `listen virga_${channel}`).join('; '));
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
    if (this.#closed) await client.end();
    else this.#client = client;
  }

  async #reconnect(ended: pg.Client): Promise<void> {
    if (this.#client !== ended) return;
    this.#client = undefined;
    while (!this.#closed) {
      try {
        await this.#connect();
        for (const listener of this.#reconnected) listener();
        return;
      } catch {
        await sleep(500, undefined, { ref: false });
      }
    }
  }
}
