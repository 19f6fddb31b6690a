// Errors on their way out: every answer that is not 2xx is a problem document of the registry. Our own faults are logged
// once, here, with their chain of causes; what the caller sees of them is an id to quote.
import { type Problem, toProblem, VirgaError } from '@virga/contract/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { storeError } from '../store/database.ts';

const retryAfterSeconds = 2;

/** The error of the registry that any thrown value stands for. */
export function toVirgaError(thrown: unknown): VirgaError {
  const error = storeError(thrown);
  if (error instanceof VirgaError) return error;
  if (error instanceof Error && error.name === 'AbortError') return ofAbort(error);
  return ofFramework(error as { code?: string; statusCode?: number }) ?? ofBug(error);
}

function ofFramework({ code, statusCode = 500 }: { code?: string; statusCode?: number }): VirgaError | undefined {
  if (statusCode === 413) {
    return new VirgaError('PayloadTooLarge', {
      detail: 'The body of the request is larger than 1 MiB.',
      action: 'Send less; an image is registered by its path on the host.',
    });
  }
  if (statusCode === 415) {
    return new VirgaError('InvalidArgument', {
      detail: 'The body of the request is not declared as JSON.',
      action: 'Send it with content-type: application/json.',
    });
  }
  if (statusCode < 400 || statusCode >= 500) return undefined;
  const badUrl = code === 'FST_ERR_BAD_URL';
  return new VirgaError('InvalidArgument', {
    detail: badUrl ? 'The address of the request is malformed.' : 'The body of the request is not well-formed JSON.',
    action: badUrl ? 'Encode it with percent signs.' : 'Send one JSON object.',
  });
}

/** The signal of a request ends with its client, and with the server. */
function ofAbort(cause: Error): VirgaError {
  return new VirgaError('ServerUnreachable', {
    detail: 'The request was given up: its client went away, or the server closes.',
    action: 'Send it again, once the server is back.',
    cause,
  });
}

function ofBug(cause: unknown): VirgaError {
  return new VirgaError('Internal', {
    detail: 'Virga made a mistake.',
    action: 'Report it with the request id; the log of the server has the cause.',
    cause,
  });
}

/** Answers with the problem document, and logs what is not the caller's doing. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = toVirgaError(thrown);
  if (error.kind.status >= 500) {
    const level = error.code === 'ServerUnreachable' ? 'info' : 'error';
    request.log[level]({ requestId: request.id, code: error.code, chain: causeChain(error) }, error.detail);
  }
  if (error.code === 'Unauthenticated') reply.header('www-authenticate', 'ApiKey realm="virga"');
  // What is left of the body is not read, so nothing can follow it on this connection.
  if (error.code === 'PayloadTooLarge') reply.header('connection', 'close');
  if (error.kind.status === 503) reply.header('retry-after', retryAfterSeconds);
  return reply
    .code(error.kind.status)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify(toProblem(error, request.id) satisfies Problem)));
}

/**
 * Each error with message, code and stack, from the outermost to the first cause. Nothing else: the detail of a
 * database error can hold a whole row.
 */
export function causeChain(error: unknown): { message: string; code?: unknown; stack?: string | undefined }[] {
  const chain = [];
  for (
    let at: unknown = error;
    at !== undefined && chain.length < 10;
    at = at instanceof Error ? at.cause : undefined
  ) {
    chain.push(
      at instanceof Error
        ? { message: at.message, code: (at as { code?: unknown }).code, stack: at.stack }
        : { message: String(at) },
    );
  }
  return chain;
}
