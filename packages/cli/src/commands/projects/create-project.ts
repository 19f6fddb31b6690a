import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';

export const createProject = defineCommand({
  meta: {
    path: 'projects create',
    summary: 'Create a project',
    details: 'Needs the cloud role admin. Nobody is a member at first: see virga members set.',
    section: 'Access',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: { description: { type: 'text', value: 'TEXT', summary: 'what it is for' } },
  examples: [
    { command: 'virga projects create shop --description "The web shop"', explains: 'a project' },
    { command: 'virga members set ann operator --project shop', explains: 'lets ann work in it' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { description } = options;
    const body = { name: args.name, ...(description === undefined ? {} : { description }) };
    const project = await idempotent((request) => client.createProject({ body }, request));
    await context.print.result(project, [`project ${project.name}: created`], [project.id]);
    return 0;
  },
});
