// What is refused of the parts of an image that somebody sends.
import { VirgaError } from '@virga/contract/errors';

export const otherPlace = (haveBytes: number) =>
  new VirgaError('Conflict', {
    detail: `${haveBytes} bytes of the image are here, so the next part begins there.`,
    action: 'Ask how much is there, and go on from that place.',
    field: '/offsetBytes',
  });

export const moreThanSaid = (sizeBytes: number) =>
  new VirgaError('PayloadTooLarge', {
    detail: `The image was said to have ${sizeBytes} bytes, and more has been sent.`,
    action: 'Delete the image, and import it again.',
  });
