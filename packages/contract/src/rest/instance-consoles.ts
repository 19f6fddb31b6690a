// Screen and serial console of an instance for clients that cannot sign a request in, such as a page with a VNC viewer: a
// ticket opens one console, once.
import { type Static, Type } from 'typebox';
import { route } from '../route.ts';
import { idParams, Time } from './shared.ts';

export const ConsoleKind = Type.Union([Type.Literal('serial'), Type.Literal('vnc')]);
export type ConsoleKind = Static<typeof ConsoleKind>;

export const ConsoleTicket = Type.Object(
  {
    ticket: Type.String(),
    path: Type.String({ description: 'where the WebSocket is, with the ticket, below the address of the server' }),
    expiresAt: Time,
  },
  { $id: 'ConsoleTicket' },
);
export type ConsoleTicket = Static<typeof ConsoleTicket>;

export const instanceConsoleRoutes = {
  createConsoleTicket: route({
    method: 'POST',
    path: '/v1/instances/{id}/console-tickets',
    summary: 'A ticket that opens the serial console or the screen of the instance, once, within 30 seconds',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: Type.Object({ kind: ConsoleKind }, { additionalProperties: false }),
    ok: ConsoleTicket,
    status: 201,
  }),
  openTicketedConsole: route({
    method: 'GET',
    path: '/v1/consoles',
    summary: 'The console of a ticket, as binary WebSocket messages both ways; the ticket is the authorization',
    access: { scope: 'public' },
    query: Type.Object({ ticket: Type.String({ maxLength: 128 }) }),
    ok: Type.Object({}),
    transport: 'websocket',
  }),
  getScreenshot: route({
    method: 'GET',
    path: '/v1/instances/{id}/screenshot',
    summary: 'A picture of the screen',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    ok: Type.Object({ mediaType: Type.Literal('image/png'), data: Type.String({ description: 'base64' }) }),
  }),
};
