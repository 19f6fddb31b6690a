// Consoles and screens of instances, and what can be done inside of their guests.
import type { instanceConsoleRoutes } from '@virga/contract/rest/instance-consoles';
import type { instanceGuestRoutes } from '@virga/contract/rest/instance-guest';
import { authorize, type Caller, type ProjectAccess } from '../../access/authorizer.ts';
import { createConsoleTicket, redeemConsoleTicket, ticketRefused } from '../../modules/instances/console-tickets.ts';
import { freezeGuest, thawGuest } from '../../modules/instances/guest-freeze.ts';
import { openConsole, screenshot } from '../../modules/instances/instance-console.ts';
import {
  awaitGuestCommand,
  executeInGuest,
  getGuest,
  getGuestFileStatus,
  readGuestFile,
  setGuestKeys,
  setGuestPassword,
  writeGuestFile,
} from '../../modules/instances/instance-guest.ts';
import { OpenConsoles } from '../../modules/instances/open-consoles.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function consoleHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof instanceConsoleRoutes | 'openConsole'> {
  const consoles = new OpenConsoles();
  return {
    openConsole: ({ access, params }) => consoles.open(params.id, () => openConsole(deps, access, params.id, 'serial')),
    createConsoleTicket: ({ access, params, body }) => createConsoleTicket(deps, access, params.id, body.kind),
    async openTicketedConsole({ query, requestId }) {
      const { who, instanceId, kind } = await redeemConsoleTicket(deps, query.ticket);
      const access = operatorProof({ ...who, requestId });
      return consoles.open(instanceId, () => openConsole(deps, access, instanceId, kind));
    },
    getScreenshot: ({ access, params, signal }) => screenshot(deps, access, params.id, signal),
  };
}

/** The role is what it is now, not what it was when the ticket was made. */
function operatorProof(caller: Caller): ProjectAccess<'operator'> {
  try {
    return authorize(caller, { scope: 'project', role: 'operator' });
  } catch {
    throw ticketRefused();
  }
}

export function guestHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof instanceGuestRoutes> {
  return {
    getGuest: ({ access, params, signal }) => getGuest(deps, access, params.id, signal),
    executeInGuest: ({ access, params, body, signal }) => executeInGuest(deps, access, params.id, body, signal),
    awaitGuestCommand: ({ access, params, query, signal }) =>
      awaitGuestCommand(deps, access, params.id, params.pid, query.waitSeconds ?? 0, signal),
    getGuestFileStatus: ({ access, params, query, signal }) =>
      getGuestFileStatus(deps, access, params.id, query.path, signal),
    readGuestFile: ({ access, params, query, signal }) => readGuestFile(deps, access, params.id, query, signal),
    writeGuestFile: ({ access, params, body, signal }) => writeGuestFile(deps, access, params.id, body, signal),
    freezeGuest: ({ access, params, body }) => freezeGuest(deps, access, params.id, body),
    thawGuest: ({ access, params }) => thawGuest(deps, access, params.id),
    setGuestPassword: ({ access, params, body }) => setGuestPassword(deps, access, params.id, body),
    setGuestKeys: ({ access, params, body }) => setGuestKeys(deps, access, params.id, body),
  };
}
