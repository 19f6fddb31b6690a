import { defineCommand } from '../../command.ts';
import { findProject, findUser } from '../../lookup.ts';

const dayMs = 86_400_000;

export const createApiKey = defineCommand({
  meta: {
    path: 'api-keys create',
    summary: 'Create an API key, for yourself or, as administrator, for another user',
    details:
      'The secret is shown this once. Give it to virga login --access-key-id, or to a program by the environment.',
    section: 'Access',
  },
  args: {},
  options: {
    description: { type: 'text', value: 'TEXT', summary: 'what it is for' },
    forProject: { type: 'text', value: 'PROJECT', summary: 'project that it works in by default', complete: 'project' },
    user: { type: 'text', value: 'USER', summary: 'whose key; needs the cloud role admin', complete: 'user' },
    days: { type: 'integer', value: 'N', summary: 'how long it is valid; default for ever', minimum: 1, maximum: 3650 },
  },
  examples: [
    { command: 'virga api-keys create --description "nightly build" --days 90', explains: 'a key for a program' },
    { command: 'virga api-keys create --user robot --for-project shop', explains: 'a key for another user' },
  ],
  async run(context, { options }) {
    const client = await context.client();
    const { description, days } = options;
    const user = options.user === undefined ? undefined : await findUser(client, options.user);
    const project = options.forProject === undefined ? undefined : await findProject(client, options.forProject);
    const created = await client.createApiKey({
      body: {
        ...(user ? { userId: user.id } : {}),
        ...(project ? { projectId: project.id } : {}),
        ...(description === undefined ? {} : { description }),
        ...(days === undefined ? {} : { expiresAt: new Date(context.nowMs() + days * dayMs).toISOString() }),
      },
    });
    const { accessKeyId } = created.apiKey;
    const lines = [`VIRGA_ACCESS_KEY_ID=${accessKeyId}`, `VIRGA_SECRET_ACCESS_KEY=${created.secret}`];
    await context.print.result(created, lines, lines);
    context.print.note('  The secret is shown this once. Keep it like a password.');
    return 0;
  },
});
