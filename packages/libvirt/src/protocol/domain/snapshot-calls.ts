// Calls on snapshots and checkpoints of a domain.
import { bool, int, list, struct, uint } from '../../xdr/schema.ts';
import { checkpoint, domain, maxListLength, snapshot, text } from '../objects.ts';
import { remote, slowRemote } from '../procedure.ts';

const domainXml = struct({ domain, xml: text, flags: uint });
const snapshotAndFlags = struct({ snapshot, flags: uint });
const checkpointAndFlags = struct({ checkpoint, flags: uint });
const listArgs = struct({ domain, needResults: bool, flags: uint });
const snapshotOnly = struct({ snapshot });
const checkpointOnly = struct({ checkpoint });
const xmlOnly = struct({ xml: text });

export const domainSnapshotCreateXml = slowRemote(185, 'domainSnapshotCreateXml', domainXml, snapshotOnly);
export const domainSnapshotGetXmlDesc = remote(186, 'domainSnapshotGetXmlDesc', snapshotAndFlags, xmlOnly);
export const domainSnapshotLookupByName = remote(
  189,
  'domainSnapshotLookupByName',
  struct({ domain, name: text, flags: uint }),
  snapshotOnly,
);
export const domainSnapshotCurrent = remote(
  191,
  'domainSnapshotCurrent',
  struct({ domain, flags: uint }),
  snapshotOnly,
);
export const domainSnapshotGetParent = remote(244, 'domainSnapshotGetParent', snapshotAndFlags, snapshotOnly);
export const domainRevertToSnapshot = slowRemote(192, 'domainRevertToSnapshot', snapshotAndFlags);
export const domainSnapshotDelete = slowRemote(193, 'domainSnapshotDelete', snapshotAndFlags);
export const domainListAllSnapshots = remote(
  274,
  'domainListAllSnapshots',
  listArgs,
  struct({ snapshots: list(snapshot, maxListLength), count: int }),
);

export const domainCheckpointCreateXml = slowRemote(411, 'domainCheckpointCreateXml', domainXml, checkpointOnly);
export const domainCheckpointGetXmlDesc = remote(412, 'domainCheckpointGetXmlDesc', checkpointAndFlags, xmlOnly);
export const domainListAllCheckpoints = remote(
  413,
  'domainListAllCheckpoints',
  listArgs,
  struct({ checkpoints: list(checkpoint, maxListLength), count: int }),
);
export const domainCheckpointLookupByName = remote(
  415,
  'domainCheckpointLookupByName',
  struct({ domain, name: text, flags: uint }),
  checkpointOnly,
);
export const domainCheckpointDelete = slowRemote(417, 'domainCheckpointDelete', checkpointAndFlags);
