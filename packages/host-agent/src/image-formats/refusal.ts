// What is said of an image of unknown origin that is not taken: one sentence, and what to do.
import { VirgaError } from '@virga/contract/errors';

export const makePlain = 'Make a plain one of it: qemu-img convert -O qcow2 FILE NEW-FILE.';
export const fetchAgain = 'Fetch or make the image again, and compare its checksum with what its maker says.';

/** @param refusal the end of a sentence that begins "The image file" */
export function refuseImage(refusal: string, action: string = makePlain, cause?: unknown): VirgaError {
  return new VirgaError('ImageUnusable', { detail: `The image file ${refusal}.`, action, field: '/source', cause });
}
