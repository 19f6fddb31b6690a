// The bytes of a request on their way to a handler. The handler may let go of them at any time without cutting off the caller,
// who is to read the answer; a caller who breaks off ends them with an error.
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { VirgaError } from '@virga/contract/errors';

declare module 'fastify' {
  interface FastifyContextConfig {
    takesContent?: boolean;
  }
}

/** A caller who stands still for longer would hold what others wait for, such as the deletion of the image. */
const quietMs = 60_000;

export function contentOf(request: IncomingMessage): Readable {
  const content = new PassThrough();
  request.pipe(content);
  const broken = () => {
    if (!request.complete) content.destroy(brokeOff());
  };
  request.once('error', broken);
  request.once('close', broken);
  request.setTimeout(quietMs, () => request.destroy());
  // What nobody listens for any more is no fault of the process.
  content.on('error', () => {});
  return content;
}

/** @throws InvalidArgument the body was declared as something else, or there is none */
export function requireContent(body: unknown): Readable {
  if (body instanceof PassThrough) return body;
  throw new VirgaError('InvalidArgument', {
    detail: 'The request has no bytes, or does not declare them.',
    action: 'Send them with content-type: application/octet-stream.',
  });
}

const brokeOff = () =>
  new VirgaError('InvalidArgument', {
    detail: 'The bytes of the request broke off.',
    action: 'Ask how much has been received, and go on from there.',
  });
