// What the control plane has of a host, and of the cloud that no other thing on a host tells: kept there, so that a lost database
// can be rebuilt. Agents keep it and look at nothing of it.
import type { CallContext } from './call-context.ts';

export type HostKeepsake = {
  cloudId: string;
  /** When it became what it is, ISO 8601. */
  keptAt: string;
  keepsake: Record<string, unknown>;
};

export interface HostKeeping {
  /** Keeps it in place of what was kept for that cloud. Durable when it returns; idempotent. */
  keepHost(cloudId: string, keepsake: Record<string, unknown>, context?: CallContext): Promise<void>;
}
