// Proof of what a user may do now, for what was asked for earlier and happens without a request, such as a schedule.
import { VirgaError } from '@virga/contract/errors';
import type { ProjectId, UserId } from '@virga/contract/ids';
import { authorize, type ProjectAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';

export type FormerRequest = {
  /** Null when the user is gone. */
  userId: UserId | null;
  userName: string;
  projectId: ProjectId;
  /** What events give as the request. */
  requestId: string;
};

/** @throws Forbidden | NotFound the user is gone, no member any more, or has too small a role */
export async function operatorAccessOf(
  tx: Tx,
  { userId, userName, projectId, requestId }: FormerRequest,
): Promise<ProjectAccess<'operator'>> {
  const user = await tx
    .selectFrom('users as u')
    .leftJoin('project_members as m', (join) => join.onRef('m.user_id', '=', 'u.id').on('m.project_id', '=', projectId))
    .select(['u.id', 'u.name', 'u.cloud_role', 'm.role'])
    .where('u.id', '=', userId)
    .executeTakeFirst();
  if (!user) {
    throw new VirgaError('Forbidden', {
      detail: `The user ${userName}, who asked for it, is gone.`,
      action: 'Ask for it anew.',
    });
  }
  const caller = {
    actor: { userId: user.id, name: user.name },
    cloudRole: user.cloud_role,
    project: { id: projectId, role: user.role },
    requestId,
  };
  return authorize(caller, { scope: 'project', role: 'operator' });
}
