// What a launch needs, found and checked before anything is written: image, type, network, keys, user data, disk size.
import { VirgaError } from '@virga/contract/errors';
import { type LaunchInstance, maxUserDataBytes } from '@virga/contract/rest/instances';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { resolveInstanceType } from '../hosts/instance-type-operations.ts';
import { resolveImage } from '../images/image-store.ts';
import { resolveKeyPairs } from '../key-pairs/key-pair-operations.ts';
import { resolveNetwork } from '../networks/network-store.ts';

export type LaunchPlan = {
  name: string;
  image: Selectable<Database['images']>;
  network: { id: Selectable<Database['networks']>['id']; name: string; cidr: string };
  type: string;
  vcpus: number;
  memoryMib: number;
  diskBytes: number;
  keyPairs: { name: string; publicKey: string }[];
  /** base64 */
  userData: string | null;
  firmware: 'bios' | 'uefi';
};

const bytesPerGib = 1024 ** 3;
const defaultNetwork = 'default';

/**
 * @throws NotFound image, type, network or key pair, with the field
 * @throws Conflict the image or the network cannot be used now
 * @throws InvalidArgument | UserDataTooLarge
 */
export async function planLaunch(tx: Tx, access: ProjectAccess<'operator'>, body: LaunchInstance): Promise<LaunchPlan> {
  const userData = readUserData(body.userData);
  const image = await resolveImage(tx, access, body.image);
  const type = await resolveInstanceType(tx, body.type);
  if (type.memoryMib < image.minimum_memory_mib) {
    throw new VirgaError('InvalidArgument', {
      detail: `Image ${image.name} needs ${image.minimum_memory_mib} MiB of memory; type ${type.name} has ${type.memoryMib} MiB.`,
      action: 'Choose a larger type: virga types list.',
      field: '/type',
    });
  }
  return {
    name: body.name,
    image,
    network: await resolveNetwork(tx, access, body.network ?? defaultNetwork),
    type: type.name,
    vcpus: type.vcpus,
    memoryMib: type.memoryMib,
    diskBytes: diskBytes(body.diskGib, type.diskGib, image),
    keyPairs: await resolveKeyPairs(tx, access, body.keyPairs ?? []),
    userData,
    firmware: body.firmware ?? 'bios',
  };
}

/** A size that was asked for must hold the image; the size of the type gives way to a larger image. */
function diskBytes(asked: number | undefined, ofType: number, image: Selectable<Database['images']>): number {
  const imageBytes = image.virtual_size_bytes ?? 0;
  if (asked === undefined) return Math.max(ofType * bytesPerGib, imageBytes);
  if (asked * bytesPerGib >= imageBytes) return asked * bytesPerGib;
  const neededGib = Math.ceil(imageBytes / bytesPerGib);
  throw new VirgaError('InvalidArgument', {
    detail: `A disk of ${asked} GiB is too small for image ${image.name}, which has ${imageBytes} bytes.`,
    action: `Ask for at least ${neededGib} GiB.`,
    field: '/diskGib',
  });
}

function readUserData(text: string | undefined): string | null {
  if (text === undefined || text === '') return null;
  // Buffer skips what is not base64 without a word, so the text is looked at first.
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The user data is not base64.',
      action: 'Encode it in base64; virga launch --user-data does that with a file.',
      field: '/userData',
    });
  }
  const decoded = Buffer.from(text, 'base64');
  if (decoded.length > maxUserDataBytes) {
    throw new VirgaError('UserDataTooLarge', {
      detail: `The user data has ${decoded.length} bytes; at most ${maxUserDataBytes} are possible.`,
      action: 'Make it smaller, for instance by having it fetch the rest.',
      field: '/userData',
    });
  }
  return decoded.toString('base64');
}
