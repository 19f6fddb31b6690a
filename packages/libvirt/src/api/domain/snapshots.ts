// Snapshots and checkpoints of domains. Owns no state; fails with LibvirtError (`NO_DOMAIN_SNAPSHOT`,
// `NO_DOMAIN_CHECKPOINT`, `SNAPSHOT_REVERT_RISKY` ...).
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/snapshot-calls.ts';
import type { CheckpointRef, DomainRef, SnapshotRef } from '../../protocol/objects.ts';
import { type Flags, flagBits } from '../flags.ts';

const createFlags = {
  redefine: 1,
  current: 2,
  noMetadata: 4,
  halt: 8,
  diskOnly: 16,
  reuseExternal: 32,
  quiesce: 64,
  atomic: 128,
  live: 256,
  validate: 512,
} as const;
const revertFlags = { running: 1, paused: 2, force: 4, resetNvram: 8 } as const;
const deleteFlags = { children: 1, metadataOnly: 2, childrenOnly: 4 } as const;
const checkpointCreateFlags = { redefine: 1, quiesce: 2, redefineValidate: 4 } as const;
const checkpointXmlFlags = { secure: 1, noDomain: 2, size: 4 } as const;

export function domainSnapshots(session: Session) {
  return {
    /** `diskOnly` leaves memory out; `quiesce` freezes the guest's file systems through its agent meanwhile. */
    async snapshotCreateXml(
      domain: DomainRef,
      xml: string,
      options?: Flags<typeof createFlags> & CallOptions,
    ): Promise<SnapshotRef> {
      const args = { domain, xml, flags: flagBits(createFlags, options) };
      return (await session.call(calls.domainSnapshotCreateXml, args, options)).snapshot;
    },

    async snapshotXml(snapshot: SnapshotRef, options?: { secure?: boolean } & CallOptions): Promise<string> {
      const args = { snapshot, flags: options?.secure ? 1 : 0 };
      return (await session.call(calls.domainSnapshotGetXmlDesc, args, options)).xml;
    },

    async listSnapshots(domain: DomainRef, options?: CallOptions): Promise<readonly SnapshotRef[]> {
      const args = { domain, needResults: true, flags: 0 };
      return (await session.call(calls.domainListAllSnapshots, args, options)).snapshots;
    },

    async snapshotLookupByName(domain: DomainRef, name: string, options?: CallOptions): Promise<SnapshotRef> {
      return (await session.call(calls.domainSnapshotLookupByName, { domain, name, flags: 0 }, options)).snapshot;
    },

    async currentSnapshot(domain: DomainRef, options?: CallOptions): Promise<SnapshotRef> {
      return (await session.call(calls.domainSnapshotCurrent, { domain, flags: 0 }, options)).snapshot;
    },

    async snapshotParent(snapshot: SnapshotRef, options?: CallOptions): Promise<SnapshotRef> {
      return (await session.call(calls.domainSnapshotGetParent, { snapshot, flags: 0 }, options)).snapshot;
    },

    async revertToSnapshot(snapshot: SnapshotRef, options?: Flags<typeof revertFlags> & CallOptions): Promise<void> {
      await session.call(calls.domainRevertToSnapshot, { snapshot, flags: flagBits(revertFlags, options) }, options);
    },

    async deleteSnapshot(snapshot: SnapshotRef, options?: Flags<typeof deleteFlags> & CallOptions): Promise<void> {
      await session.call(calls.domainSnapshotDelete, { snapshot, flags: flagBits(deleteFlags, options) }, options);
    },

    /** Starts tracking what changes on the disks, for incremental backups. */
    async checkpointCreateXml(
      domain: DomainRef,
      xml: string,
      options?: Flags<typeof checkpointCreateFlags> & CallOptions,
    ): Promise<CheckpointRef> {
      const args = { domain, xml, flags: flagBits(checkpointCreateFlags, options) };
      return (await session.call(calls.domainCheckpointCreateXml, args, options)).checkpoint;
    },

    async checkpointXml(
      checkpoint: CheckpointRef,
      options?: Flags<typeof checkpointXmlFlags> & CallOptions,
    ): Promise<string> {
      const args = { checkpoint, flags: flagBits(checkpointXmlFlags, options) };
      return (await session.call(calls.domainCheckpointGetXmlDesc, args, options)).xml;
    },

    async listCheckpoints(domain: DomainRef, options?: CallOptions): Promise<readonly CheckpointRef[]> {
      const args = { domain, needResults: true, flags: 0 };
      return (await session.call(calls.domainListAllCheckpoints, args, options)).checkpoints;
    },

    async checkpointLookupByName(domain: DomainRef, name: string, options?: CallOptions): Promise<CheckpointRef> {
      return (await session.call(calls.domainCheckpointLookupByName, { domain, name, flags: 0 }, options)).checkpoint;
    },

    async deleteCheckpoint(
      checkpoint: CheckpointRef,
      options?: Flags<typeof deleteFlags> & CallOptions,
    ): Promise<void> {
      const args = { checkpoint, flags: flagBits(deleteFlags, options) };
      await session.call(calls.domainCheckpointDelete, args, options);
    },
  };
}
