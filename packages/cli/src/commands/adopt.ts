import { defineCommand } from '../command.ts';
import { idempotent } from '../idempotent.ts';
import { changeOne } from '../operations/change-one.ts';
import { describe, settled } from './instance-change.ts';
import { waitOption } from './shared-options.ts';

export const adopt = defineCommand({
  meta: {
    path: 'adopt',
    summary: 'Take over a domain that was made with virsh or virt-manager, without restarting it',
    details:
      'The domain becomes an instance of the project as it is: its guest goes on, and its definition and its disks stay as ' +
      'they came. virga hosts domains shows what there is. Needs the cloud role admin. virga release gives it back.',
    section: 'Beside virsh',
  },
  args: { domain: { summary: 'name or UUID, as virsh list --all shows it' } },
  options: {
    host: { type: 'text', value: 'HOST', summary: 'where it is; needed when there are several', complete: 'host' },
    name: { type: 'text', value: 'NAME', summary: 'what to call the instance; default as the domain' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga adopt win10 --wait', explains: 'keeps its name' },
    { command: 'virga adopt "Old Server" --name old-server', explains: 'the name of an instance has no space' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { host, name } = options;
    const body = {
      domain: args.domain,
      ...(host === undefined ? {} : { host }),
      ...(name === undefined ? {} : { name }),
    };
    return changeOne(context, 'instance', {
      ...{ name: name ?? args.domain, wait: options.wait, requested: 'adoption requested' },
      request: () => idempotent((request) => client.adoptInstance({ body }, request)),
      afterwards: settled(context, client, false),
      done: describe,
    });
  },
});
