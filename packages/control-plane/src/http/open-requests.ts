// Who still waits for an answer, or follows a stream: so that closing the server ends them instead of waiting for them.
import type { FastifyReply, FastifyRequest } from 'fastify';

export type OpenRequests = {
  /** Aborts when the client of this request has gone, or the server closes. */
  signalOf(request: FastifyRequest, reply: FastifyReply): AbortSignal;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
  close(): void;
};

export function createOpenRequests(): OpenRequests {
  const open = new Set<AbortController>();
  const server = new AbortController();
  return {
    closing: server.signal,
    signalOf(request, reply) {
      const controller = new AbortController();
      open.add(controller);
      const end = () => {
        open.delete(controller);
        controller.abort();
      };
      reply.raw.once('close', end);
      if (server.signal.aborted || request.raw.socket.destroyed) end();
      return controller.signal;
    },
    close() {
      server.abort();
      for (const controller of open) controller.abort();
    },
  };
}
