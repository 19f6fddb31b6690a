// The cloud on this machine as `up` sees it: the server that runs, and a client signed in as its first administrator.
// Nothing is remembered between two looks but the client: what runs may have changed.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { followOperation } from '@virga/cli/operations/follow-operation';
import { type Client, createClient } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import type { Folders } from '../server/folders.ts';
import { type AdministratorCredentials, readAdministratorCredentials } from '../server/secrets.ts';
import { readServerRecord } from '../server/server-record.ts';
import type { Report } from './phase.ts';

/** Trying out KVM may take a kernel that hangs under it, which is noticed after seconds. */
const hostReadyMs = 60_000;
const hostLookMs = 200;

export type Login = AdministratorCredentials & { server: string };

export class Cloud {
  private readonly folders: Folders;
  private readonly signal: AbortSignal;
  private opened: { login: Login; client: Client } | undefined;

  constructor(folders: Folders, signal: AbortSignal) {
    this.folders = folders;
    this.signal = signal;
  }

  /** How to sign in at the server, when one serves. */
  login(): Login | undefined {
    return this.open()?.login;
  }

  /** Undefined while no server serves: then what there is in the cloud is not known. */
  client(): Client | undefined {
    return this.open()?.client;
  }

  /** What a phase would do as far as it can know: a cloud whose server does not run may have it already. */
  unlessThere(what: string): string {
    return !this.client() && existsSync(this.folders.database) ? `${what}, unless the cloud has one` : what;
  }

  /** For phases that come after the one that starts the server. */
  requireClient(): Client {
    const client = this.client();
    if (!client) throw new Error('the server has stopped since it was started');
    return client;
  }

  /** Waits until an operation has ended. @throws what it failed with */
  async follow(id: OperationId, report: Report): Promise<void> {
    await followOperation(this.requireClient(), id, {
      signal: this.signal,
      onChange: report,
    });
  }

  /**
   * Waits until this host takes instances: it has looked at itself, and tried out KVM.
   * @throws HostUnavailable it does not come to that, and why
   */
  async whenHostIsReady(report: Report): Promise<void> {
    const deadline = performance.now() + hostReadyMs;
    for (;;) {
      const [host] = (await this.requireClient().listHosts({ query: {} })).items;
      if (host?.state === 'ready') return;
      if (performance.now() > deadline) {
        throw new VirgaError('HostUnavailable', {
          detail: `This host is not ready: ${host?.stateReason ?? 'it has not reported yet.'}`,
          action: 'Mend that, then run this again.',
        });
      }
      report('looking at the host, and trying out KVM');
      await sleep(hostLookMs, undefined, { signal: this.signal });
    }
  }

  private open() {
    const record = readServerRecord(this.folders);
    if (!record) return undefined;
    if (this.opened?.login.server !== record.url) {
      const login = { ...readAdministratorCredentials(this.folders), server: record.url };
      this.opened = { login, client: createClient(login) };
    }
    return this.opened;
  }
}
