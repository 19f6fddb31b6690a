import { defineCommand } from '../../command.ts';
import { findProject } from '../../lookup.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deleteProject = defineCommand({
  meta: {
    path: 'projects delete',
    summary: 'Delete an empty project',
    details: 'Needs the cloud role admin. A project that still has instances, images, networks or keys is not deleted.',
    section: 'Access',
  },
  args: { name: { summary: 'name or id', complete: 'project' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga projects delete shop', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const project = await findProject(client, args.name);
    await confirmDestruction(context, `Delete project ${project.name}?`, options.yes);
    await client.deleteProject({ params: { id: project.id } });
    await context.print.result({ ...project, deleted: true }, [`project ${project.name}: deleted`], [project.id]);
    return 0;
  },
});
