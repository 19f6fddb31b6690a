// The agents of the hosts, by the id that a host has in the database. It hands them out; it neither opens nor closes them.
import type { HostAgent } from '@virga/contract/agent/agent';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';

export type RegisteredHost = { id: HostId; name: string; agent: HostAgent };

export class AgentRegistry {
  readonly #hosts: ReadonlyMap<HostId, RegisteredHost>;

  constructor(hosts: readonly RegisteredHost[]) {
    this.#hosts = new Map(hosts.map((host) => [host.id, host]));
  }

  all(): RegisteredHost[] {
    return [...this.#hosts.values()];
  }

  /** @throws HostUnavailable this server has no agent of the host */
  agentOf(id: HostId): HostAgent {
    const host = this.#hosts.get(id);
    if (host) return host.agent;
    throw new VirgaError('HostUnavailable', {
      detail: `Host ${id} is not connected to this server.`,
      action: 'Start the server with that host, or wait until its agent has connected.',
    });
  }
}
