// A store of its own for a test file: an open database with one project, and proofs to write with.
import type { ProjectId } from '@virga/contract/ids';
import type { ProjectRole } from '@virga/contract/route';
import {
  authorize,
  type ProjectAccess,
  type SystemAccess,
  type UserAccess,
} from '@virga/control-plane/access/authorizer';
import { systemAccess } from '@virga/control-plane/access/system-access';
import { insertUser } from '@virga/control-plane/modules/identity/identity-operations';
import { insertProject } from '@virga/control-plane/modules/projects/project-operations';
import { type Db, openStore } from '@virga/control-plane/store/database';
import { Notifications } from '@virga/control-plane/store/notifications';
import { createTemporaryDatabase } from './temporary-database.ts';

export type TemporaryStore = {
  db: Db;
  config: Parameters<typeof openStore>[0];
  notifications: Notifications;
  system: SystemAccess;
  projectId: ProjectId;
  /** A proof of a fresh user with this role in the project. */
  access<R extends ProjectRole>(role: R): ProjectAccess<R>;
  user: UserAccess;
  close(): Promise<void>;
};

export async function openTemporaryStore(): Promise<TemporaryStore> {
  const database = await createTemporaryDatabase();
  const store = openStore(database.config);
  const notifications = new Notifications(database.config);
  await notifications.start();
  const system = systemAccess('test');
  const { projectId, userId } = await store.db.transaction().execute(async (tx) => {
    const project = await insertProject(tx, system, { name: 'first' });
    const user = await insertUser(tx, system, { name: 'ada', passwordHash: null, cloudRole: 'none' });
    return { projectId: project.id, userId: user.id };
  });
  const actor = { userId, name: 'ada' };
  const caller = (role: ProjectRole) =>
    ({ actor, cloudRole: 'none', project: { id: projectId, role }, requestId: 'req-1' }) as const;
  return {
    db: store.db,
    config: database.config,
    notifications,
    system,
    projectId,
    access: (role) => authorize(caller(role), { scope: 'project', role }) as ProjectAccess<typeof role>,
    user: authorize(caller('viewer'), { scope: 'user' }),
    async close() {
      await notifications.close();
      await store.close();
      await database.drop();
    },
  };
}
