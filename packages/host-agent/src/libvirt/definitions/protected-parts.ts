// Parts of a definition that are Virga's to say: no overlay has them, and what somebody makes of them is no drift.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { domainPrefix } from '../instances/domain-metadata.ts';

export const markPath = `/domain/metadata/${domainPrefix}:instance`;
const everywhere = ['/domain/name', '/domain/uuid', markPath];
const ofLaunched = [...everywhere, '/domain/title', '/domain/description'];

export const protectedParts = ({ origin }: Pick<DesiredInstance, 'origin'>): ReadonlySet<string> =>
  new Set(origin === 'adopted' ? everywhere : ofLaunched);
