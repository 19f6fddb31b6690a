// Stands between a server and its database, and knows one thing of what passes: where a transaction commits. Acts right
// before the N-th commit is sent on, or right after it has happened and before the server hears of it.
import { mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

export type CommitMoment = 'before' | 'after';

/** As the client sends it in a simple query, and as the database confirms it. */
const commitQuery = Buffer.from('commit\0');
const commitTag = Buffer.from('COMMIT\0');
const port = 5432;

const socketName = `.s.PGSQL.${port}`;

export class DatabaseRelay {
  /** What a client puts in place of the database's host. */
  readonly folder: string;
  readonly port = port;
  private readonly server: Server;
  private readonly open = new Set<Socket>();
  private trap: { moment: CommitMoment; commitsLeft: number; act: () => void } | undefined;

  static async start(folder: string, databaseFolder: string): Promise<DatabaseRelay> {
    mkdirSync(folder, { recursive: true });
    rmSync(join(folder, socketName), { force: true });
    const relay = new DatabaseRelay(folder, databaseFolder);
    await new Promise<void>((resolve) => relay.server.listen(join(folder, socketName), resolve));
    return relay;
  }

  private constructor(folder: string, databaseFolder: string) {
    this.folder = folder;
    this.server = createServer((client) => this.join(client, connect(join(databaseFolder, socketName))));
  }

  /** Acts at the N-th commit from now on. What was about to pass then does not. */
  atCommit(moment: CommitMoment, number: number, act: () => void): void {
    this.trap = { moment, commitsLeft: number, act };
  }

  disarm(): void {
    this.trap = undefined;
  }

  close(): Promise<void> {
    for (const socket of this.open) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private join(client: Socket, database: Socket): void {
    for (const [socket, other] of [
      [client, database],
      [database, client],
    ] as const) {
      this.open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.open.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (chunk) => this.pass(chunk, database, 'before', commitQuery));
    database.on('data', (chunk) => this.pass(chunk, client, 'after', commitTag));
  }

  private pass(chunk: Buffer, to: Socket, moment: CommitMoment, sign: Buffer): void {
    const { trap } = this;
    if (trap?.moment === moment && chunk.includes(sign) && --trap.commitsLeft <= 0) {
      this.trap = undefined;
      trap.act();
      return;
    }
    to.write(chunk);
  }
}
