// A volume or a network interface of an instance, by what a person calls it. What is not there is NotFound, with what is.
import { VirgaError } from '@virga/contract/errors';
import type { NetworkInterfaceId, VolumeId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';

/** By name, id or place; `root` is the root disk. @throws NotFound */
export function diskOf(instance: Instance, disk: string): VolumeId {
  if (disk === 'root' || disk === instance.rootDiskId) return instance.rootDiskId;
  return volumeOf(instance, disk);
}

/** By name, id or place. @throws NotFound */
export function volumeOf({ name, volumes }: Instance, volume: string): VolumeId {
  const found =
    volumes.find((one) => one.name === volume) ?? volumes.find((one) => one.id === volume || one.target === volume);
  if (found) return found.id;
  throw notThere(
    `Instance ${name} has no volume ${volume}.`,
    volumes.map((one) => one.name),
  );
}

/** By id, address or MAC address. @throws NotFound */
export function nicOf({ name, networkInterfaces }: Instance, nic: string): NetworkInterfaceId {
  const found = networkInterfaces.find(({ id, address, mac }) => [id, address, mac].includes(nic.toLowerCase()));
  if (found) return found.id;
  throw notThere(
    `Instance ${name} has no network interface ${nic}.`,
    networkInterfaces.map(({ address }) => address),
  );
}

function notThere(detail: string, there: readonly string[]): VirgaError {
  const action = there.length === 0 ? 'It has none.' : `It has ${there.join(', ')}.`;
  return new VirgaError('NotFound', { detail, action });
}
