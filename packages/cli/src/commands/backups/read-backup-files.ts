import { writeFile } from 'node:fs/promises';
import { defineCommand } from '../../command.ts';
import { findBackup } from '../../lookup.ts';
import { followOperation } from '../../operations/follow-operation.ts';
import { formatBytes } from '../../output/format.ts';

export const readBackupFiles = defineCommand({
  meta: {
    path: 'backups files',
    summary: 'List folders and fetch single files of a backup',
    details:
      'The root disk of the backup is fetched on a host first, which takes as long as reading it, and stays there for an hour. ' +
      'File systems ext2 to ext4 can be read; of a file, the first 4 MiB. Nothing of the backup is started or mounted.',
    section: 'Resources',
  },
  args: { backup: { summary: 'its id' } },
  options: {
    path: { type: 'text', value: 'PATH', summary: 'a folder or file of the guest; default /' },
    to: {
      type: 'text',
      value: 'FILE',
      summary: 'where the file is written; default standard output',
      complete: 'file',
    },
    opened: { type: 'flag', summary: 'it is open already: fetch nothing' },
  },
  examples: [
    { command: 'virga backups files bak-0123456789abcdef0 --path /etc', explains: 'what there is' },
    {
      command: 'virga backups files bak-0123456789abcdef0 --path /etc/fstab --to fstab',
      explains: 'one file of it',
    },
  ],
  async run(context, { args, options: { path = '/', to, opened } }) {
    const client = await context.client();
    const backup = await findBackup(client, args.backup);
    const { id } = backup;
    if (!opened && backup.openUntil === null) {
      const { operationId } = await client.openBackup({ params: { id } });
      const progress = context.progress();
      const task = progress.task(id, { passing: true });
      try {
        await followOperation(client, operationId, { signal: context.interrupt(), onChange: task.update });
        task.succeed('open');
      } finally {
        progress.close();
      }
    }
    const found = await client.readBackupFile({ params: { id }, query: { path } });
    if (found.kind === 'folder') {
      const lines = found.entries.map(({ name, kind, sizeBytes }) =>
        kind === 'file' ? `${name}  ${formatBytes(sizeBytes)}` : `${name}${kind === 'folder' ? '/' : ''}`,
      );
      await context.print.result(
        found,
        lines,
        found.entries.map(({ name }) => name),
      );
      return 0;
    }
    const content = Buffer.from(found.content, 'base64');
    const cut = found.truncated ? `, the first of ${formatBytes(found.sizeBytes)}` : '';
    if (to !== undefined) {
      await writeFile(to, content);
      await context.print.result(found, [`${path}: ${formatBytes(content.length)}${cut} in ${to}`], [to]);
    } else await context.print.result(found, [content.toString('utf8')], [content.toString('utf8')]);
    return 0;
  },
});
