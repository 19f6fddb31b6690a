// Tickets that open one console, once, soon. The database knows only their hashes. Whoever comes with one is the user who
// asked for it, and has the role that this user has then. Why a ticket is refused is not told: it would help only guessers.
import { createHash, randomBytes } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { ConsoleKind, ConsoleTicket } from '@virga/contract/rest/instance-consoles';
import type { Caller, ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { requireInstance } from './instance-operations.ts';

const ticketBytes = 32;
const lifetimeMs = 30_000;

export type RedeemedTicket = { who: Omit<Caller, 'requestId'>; instanceId: InstanceId; kind: ConsoleKind };

export async function createConsoleTicket(
  { db, clock }: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  kind: ConsoleKind,
): Promise<ConsoleTicket> {
  const { project_id } = await requireInstance(db, access, id);
  const ticket = randomBytes(ticketBytes).toString('base64url');
  const now = clock.now();
  const expiresAt = new Date(now.getTime() + lifetimeMs);
  await db.deleteFrom('console_tickets').where('expires_at', '<', now).execute();
  await db
    .insertInto('console_tickets')
    .values({
      sha256: hashOf(ticket),
      instance_id: id,
      project_id,
      // Only a user has a proof of a role in a project.
      user_id: access.actor.userId!,
      kind,
      expires_at: expiresAt,
    })
    .execute();
  return { ticket, path: `/v1/consoles?ticket=${ticket}`, expiresAt: expiresAt.toISOString() };
}

/** Takes the ticket away, and says whose it was. @throws Forbidden it is used, late, or none */
export async function redeemConsoleTicket({ db, clock }: Deps, ticket: string): Promise<RedeemedTicket> {
  const row = await db
    .deleteFrom('console_tickets')
    .where('sha256', '=', hashOf(ticket))
    .returningAll()
    .executeTakeFirst();
  if (!row || row.expires_at <= clock.now()) throw ticketRefused();
  const user = await db
    .selectFrom('users as u')
    .leftJoin('project_members as m', (join) =>
      join.onRef('m.user_id', '=', 'u.id').on('m.project_id', '=', row.project_id),
    )
    .where('u.id', '=', row.user_id)
    .select(['u.id', 'u.name', 'u.cloud_role', 'm.role'])
    .executeTakeFirst();
  if (!user) throw ticketRefused();
  return {
    who: {
      actor: { userId: user.id, name: user.name },
      cloudRole: user.cloud_role,
      project: { id: row.project_id, role: user.role },
    },
    instanceId: row.instance_id,
    kind: row.kind,
  };
}

export function ticketRefused(): VirgaError {
  return new VirgaError('Forbidden', {
    detail: 'The ticket opens no console: it was used already, came too late, or never was one.',
    action: 'Ask for another ticket, and use it once within 30 seconds.',
  });
}

const hashOf = (ticket: string): Buffer => createHash('sha256').update(ticket).digest();
