import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../command.ts';
import { type Copied, copyFromGuest, copyToGuest, type OnCopied } from '../guest/copy-file.ts';
import { type CopyEnd, readCopyEnd } from '../guest/guest-path.ts';
import { findInstance } from '../lookup.ts';
import { formatBytes } from '../output/format.ts';

export const copy = defineCommand({
  meta: {
    path: 'cp',
    summary: 'Copy a file into an instance or out of it, without a network',
    details:
      'The guest agent of the instance reads and writes it, as root. A file of a guest is written INSTANCE:/PATH, and - is ' +
      'standard input or output. The permissions are kept. For directories use tar through virga exec.',
    section: 'Consoles and guests',
  },
  args: {
    source: { summary: 'INSTANCE:/PATH, a file of this machine, or -', complete: 'file' },
    target: { summary: 'INSTANCE:/PATH, a file or folder of this machine, or -', complete: 'file' },
  },
  options: {},
  examples: [
    { command: 'virga cp web:/etc/os-release .', explains: 'out of the guest' },
    { command: 'virga cp nginx.conf web:/etc/nginx/', explains: 'into it' },
    { command: 'virga cp web:/var/log/syslog - | tail', explains: 'to a pipe' },
  ],
  async run(context, { args }) {
    const [source, target] = [readCopyEnd(args.source), readCopyEnd(args.target)];
    const guest = source.kind === 'guest' ? source : target.kind === 'guest' ? target : undefined;
    const other = source.kind === 'guest' ? target : source;
    if (guest === undefined || other.kind === 'guest') throw oneGuest();
    if (!guest.path.startsWith('/') && !/^[A-Za-z]:[\\/]/.test(guest.path)) throw relativePath(guest);
    const client = await context.client();
    const file = { client, instance: await findInstance(client, guest.instance), path: guest.path };
    const progress = context.progress();
    const task = progress.task(guest === source ? args.source : args.target, { passing: true });
    const onCopied: OnCopied = (done, whole) =>
      task.update(formatBytes(done), whole ? Math.min(100, Math.round((100 * done) / whole)) : 0);
    const signal = context.interrupt();
    let copied: Copied;
    try {
      if (guest === source) {
        const to = other.kind === 'stream' ? { stream: context.io.stdout } : { path: other.path };
        copied = await copyFromGuest(file, to, onCopied, signal);
      } else {
        const from = other.kind === 'stream' ? { stream: context.io.stdin } : { path: other.path };
        copied = await copyToGuest(file, from, onCopied, signal);
      }
    } finally {
      progress.close();
    }
    if (guest === source && other.kind === 'stream') return 0;
    const where = guest === source ? copied.path : `${file.instance.name}:${copied.path}`;
    await context.print.result(copied, [`${where}: ${formatBytes(copied.sizeBytes)}`], [where]);
    return 0;
  },
});

function oneGuest(): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail: 'One of source and target must be a file of an instance, and the other must not.',
    action: 'Write INSTANCE:/PATH for it; a file here whose name has a colon is written ./NAME.',
  });
}

function relativePath({ instance, path }: Extract<CopyEnd, { kind: 'guest' }>): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail: `${path === '' ? 'The path in the guest' : path} is not absolute.`,
    action: `Begin it with a slash: ${instance}:/root/${path}.`,
  });
}
