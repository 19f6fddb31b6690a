import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId } from '@virga/contract/ids';
import { defineCommand } from '../../command.ts';
import { findBackup } from '../../lookup.ts';
import { followOperation } from '../../operations/follow-operation.ts';
import { formatBytes } from '../../output/format.ts';
import { receiveFile } from '../../received-file.ts';

export const readBackupFiles = defineCommand({
  meta: {
    path: 'backups files',
    summary: 'List folders and fetch single files of a backup',
    details:
      'The root disk of the backup is fetched on a host first, which takes as long as reading it, and stays there for an hour. ' +
      'Files of up to 64 MiB are read one by one, where virga images lint could look too. Nothing of the backup is started.',
    section: 'Resources',
  },
  args: { backup: { summary: 'its id' } },
  options: {
    path: { type: 'text', value: 'PATH', summary: 'a folder or file of the guest; default /' },
    to: {
      type: 'text',
      value: 'FILE',
      summary: 'a file or folder of this machine to write it to; default standard output, byte for byte',
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
      if (to !== undefined) throw isFolder(path);
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
    const pieces = piecesOf(client, id, path, found);
    if (to === undefined) {
      await receiveFile({ stream: context.io.stdout }, path, pieces);
      return 0;
    }
    const received = await receiveFile({ path: to }, path, pieces);
    const lines = [`${path}: ${formatBytes(received.sizeBytes)} in ${received.path}`];
    await context.print.result(received, lines, [received.path]);
    return 0;
  },
});

type Piece = { content: string; truncated: boolean };

async function* piecesOf(client: Client, id: BackupId, path: string, first: Piece): AsyncGenerator<Buffer> {
  for (let piece = first, offset = 0; ; ) {
    const bytes = Buffer.from(piece.content, 'base64');
    yield bytes;
    offset += bytes.length;
    if (!piece.truncated || bytes.length === 0) return;
    const next = await client.readBackupFile({ params: { id }, query: { path, offset } });
    if (next.kind !== 'file') throw isFolder(path);
    piece = next;
  }
}

const isFolder = (path: string) =>
  new VirgaError('InvalidArgument', {
    detail: `${path} is a folder, and files are fetched one by one.`,
    action: 'Name a file in it; for all of it, restore the backup as a new instance, and copy it from there.',
  });
