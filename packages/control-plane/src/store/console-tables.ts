// Tables of console tickets, and of guests whose file systems are frozen.
import type { InstanceId, ProjectId, UserId } from '@virga/contract/ids';
import type { ConsoleKind } from '@virga/contract/rest/instance-consoles';

export type ConsoleTables = {
  console_tickets: {
    /** The ticket itself is known to its holder only. */
    sha256: Buffer;
    instance_id: InstanceId;
    project_id: ProjectId;
    user_id: UserId;
    kind: ConsoleKind;
    expires_at: Date;
  };
  guest_freezes: {
    instance_id: InstanceId;
    frozen_until: Date;
    /** When thawing is tried next; later than `frozen_until` when the guest did not answer then. */
    thaw_at: Date;
    failures: number;
  };
};
