// That a domain has left the host by a migration beside Virga: libvirt says so when it goes, and forgets it with the domain, or
// when it is restarted. Owns a file beside the instance's folder; what only our own definition of the domain anew ends.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceId } from '@virga/contract/ids';
import { exists } from '../../exists.ts';
import type { Storage } from '../storage.ts';

// Not in the folder, which both hosts may see.
const pathOf = ({ instancesPath }: Storage, id: InstanceId): string => join(instancesPath, `.${id}.gone`);

export const noteGone = (storage: Storage, id: InstanceId): Promise<void> => writeFile(pathOf(storage, id), '');

export const isNotedGone = (storage: Storage, id: InstanceId): Promise<boolean> => exists(pathOf(storage, id));

export const forgetGone = (storage: Storage, id: InstanceId): Promise<void> => rm(pathOf(storage, id), { force: true });
