import { defineCommand } from '../command.ts';

export const whoami = defineCommand({
  meta: { path: 'whoami', summary: 'Show who you are to the server, and in which project', section: 'Access' },
  args: {},
  options: {},
  examples: [{ command: 'virga whoami', explains: 'user, roles, project and server' }],
  async run(context) {
    const client = await context.client();
    const { server, profileName, accessKeyId } = await context.settings();
    const caller = await client.getCaller();
    await context.print.record(
      { ...caller, server, profile: profileName },
      [
        ['User', `${caller.user.name} (${caller.user.id})`],
        ['Cloud role', caller.user.cloudRole],
        ['Project', caller.project && `${caller.project.name} (${caller.project.id})`],
        ['Project role', caller.projectRole],
        ['API key', accessKeyId ?? null],
        ['Server', server],
        ['Profile', profileName],
      ],
      caller.user.id,
    );
    return 0;
  },
});
