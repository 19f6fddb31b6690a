import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { authHeaders, type ClientOptions, routeUrl } from '@virga/contract/client';
import { idPrefix } from '@virga/contract/ids';
import { api } from '@virga/contract/rest/api';
import { type CloudRole, cloudRoles, type ProjectRole, projectRoles, type Route } from '@virga/contract/route';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';

let cloud: TemporaryCloud;
const keys: Record<string, Pick<ClientOptions, 'accessKeyId' | 'secret'>> = {};
before(async () => {
  cloud = await startTemporaryCloud();
  await cloud.client.createProject({ body: { name: 'other' } });
  for (const role of projectRoles)
    keys[`project-${role}`] = await cloud.addUser(`member-${role}`, { roles: { default: role } });
  for (const role of cloudRoles) keys[`cloud-${role}`] = await cloud.addUser(`cloud-${role}`, { cloudRole: role });
  keys.elsewhere = await cloud.addUser('elsewhere', { roles: { other: 'admin' } });
});
after(() => cloud.close());

/** Well-formed parameters that name nothing, so that only the right to ask is tried. */
function nowhere(route: Route): Record<string, string> {
  const properties =
    (route.params as { properties?: Record<string, { pattern?: string }> } | undefined)?.properties ?? {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, { pattern = '' }]) => {
      const prefix = Object.values(idPrefix).find((known) => pattern.startsWith(`^${known}-[`));
      return [name, prefix ? `${prefix}-0123456789abcdef0` : 'nowhere'];
    }),
  );
}

async function statusOf(route: Route, as?: string, project?: string): Promise<number> {
  const response = await fetch(routeUrl(cloud.url, route, { params: nowhere(route) }), {
    method: route.method,
    headers: authHeaders({ server: cloud.url, ...(as ? keys[as] : {}), project }),
  });
  await response.body?.cancel();
  return response.status;
}

/** The next smaller of the roles, and the one that is just right. */
function callersOf({ access }: Route): { tooSmall?: string; right: string } {
  switch (access.scope) {
    case 'project': {
      const below = projectRoles[projectRoles.indexOf(access.role) - 1] as ProjectRole | undefined;
      return { ...(below ? { tooSmall: `project-${below}` } : {}), right: `project-${access.role}` };
    }
    case 'cloud': {
      const below = cloudRoles[cloudRoles.indexOf(access.role) - 1] as CloudRole;
      return { tooSmall: `cloud-${below}`, right: `cloud-${access.role}` };
    }
    default:
      return { right: 'cloud-none' };
  }
}

for (const [name, route] of Object.entries(api) as [string, Route][]) {
  test(`${route.method} ${route.path} lets in who may call it, and nobody else`, async () => {
    if (route.access.scope === 'public') {
      assert.notEqual(await statusOf(route), 401, 'a stranger may ask');
      return;
    }
    assert.equal(await statusOf(route), 401, 'a stranger');
    assert.equal(await statusOf(route, 'elsewhere', 'default'), 404, 'somebody of another project');
    const { tooSmall, right } = callersOf(route);
    const project = route.access.scope === 'project' ? 'default' : undefined;
    if (tooSmall) assert.equal(await statusOf(route, tooSmall, project), 403, `too small a role: ${tooSmall}`);
    const status = await statusOf(route, right, project);
    assert.ok(status !== 401 && status !== 403 && status < 500, `${name} as ${right}: ${status}`);
  });
}

test('the walk went over every operation that the server publishes, and it publishes to anybody', async () => {
  const response = await fetch(new URL('/v1/openapi.json', cloud.url));
  const document = (await response.json()) as { paths: Record<string, object> };
  const published = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const walked = Object.values(api).map((route) => `${route.method} ${route.path}`);
  assert.deepEqual(published.toSorted(), walked.toSorted());
});

test('a key of one project reaches nothing of another by id', async () => {
  const inOther = { server: cloud.url, ...keys.elsewhere, project: 'other' };
  const { body } = { body: { name: 'mine', publicKey: `ssh-ed25519 ${ed25519}` } };
  const mine = await cloud.client.importKeyPair({ body });
  const url = routeUrl(cloud.url, api.getKeyPair, { params: { id: mine.id } });
  assert.equal((await fetch(url, { headers: authHeaders(inOther) })).status, 404);
  assert.equal((await fetch(url, { method: 'DELETE', headers: authHeaders(inOther) })).status, 404);
  assert.equal((await cloud.client.getKeyPair({ params: { id: mine.id } })).name, 'mine');
});

const ed25519 = Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString('base64');
