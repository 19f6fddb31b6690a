import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CloudRole, cloudRoles, type ProjectRole, projectRoles } from '@virga/contract/route';
import { authorize, type Caller, type ProjectAccess, projectOf } from './authorizer.ts';

function caller(role: ProjectRole | null, cloudRole: CloudRole = 'none'): Caller {
  return {
    actor: { userId: 'user-00000000000000001', name: 'ada' },
    cloudRole,
    project: { id: 'proj-00000000000000001', role },
    requestId: 'req-1',
  };
}

test('a role in the project is enough for what it includes, and for nothing more', () => {
  for (const [mine, role] of projectRoles.entries()) {
    for (const [demanded, wanted] of projectRoles.entries()) {
      const attempt = () => authorize(caller(role), { scope: 'project', role: wanted });
      if (mine >= demanded) assert.equal(attempt().projectId, 'proj-00000000000000001');
      else assert.throws(attempt, { name: 'Forbidden' }, `${role} is not enough for ${wanted}`);
    }
  }
});

test('who is no member of a project does not learn that it exists', () => {
  assert.throws(() => authorize(caller(null), { scope: 'project', role: 'viewer' }), { name: 'NotFound' });
  const without: Caller = { ...caller('admin'), project: null };
  assert.throws(() => authorize(without, { scope: 'project', role: 'viewer' }), { name: 'NotFound' });
});

test('a cloud role is compared with the demanded one, and a project role never stands in for it', () => {
  const demanded = (['viewer', 'admin'] as const).map((role) => ({ scope: 'cloud', role }) as const);
  for (const access of demanded) {
    for (const cloudRole of cloudRoles) {
      const attempt = () => authorize(caller('admin', cloudRole), access);
      if (cloudRoles.indexOf(cloudRole) >= cloudRoles.indexOf(access.role)) attempt();
      else assert.throws(attempt, { name: 'Forbidden' }, `${cloudRole} is not enough for ${access.role}`);
    }
  }
});

test('a cloud administrator is admin in every project, a cloud viewer sees every one and changes none', () => {
  authorize(caller(null, 'admin'), { scope: 'project', role: 'admin' });
  authorize(caller(null, 'viewer'), { scope: 'project', role: 'viewer' });
  assert.throws(() => authorize(caller(null, 'viewer'), { scope: 'project', role: 'operator' }), { name: 'Forbidden' });
  authorize(caller('operator', 'viewer'), { scope: 'project', role: 'operator' });
});

test('what needs a project says so when the request names none', () => {
  const access = authorize({ ...caller('admin', 'admin'), project: null }, { scope: 'cloud', role: 'admin' });
  assert.throws(() => projectOf(access), { name: 'InvalidArgument' });
});

test('a weaker proof does not compile where a stronger one is demanded', () => {
  const wantsOperator = (_access: ProjectAccess<'operator'>) => {};
  const viewer = authorize(caller('viewer'), { scope: 'project', role: 'viewer' });
  // @ts-expect-error a viewer's proof is no operator's
  wantsOperator(viewer);
  // @ts-expect-error an object that only looks like a proof is none
  wantsOperator({ projectId: viewer.projectId, actor: viewer.actor, cloudRole: 'none', requestId: 'req-1' });
  wantsOperator(authorize(caller('admin'), { scope: 'project', role: 'admin' }));
});
