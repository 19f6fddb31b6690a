// The distribution's PostgreSQL: where its programs are, and the folder of a cluster of ours, made whole or not at all.
// Starts nothing. What a crash left of a half-made cluster is taken away by the next attempt.
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { flushFolder, writeFileDurably } from '@virga/host-agent/durable-file';
import { lastWords, runCommand } from '../machine/run-command.ts';

/** The unprivileged user that the cluster runs as, and owns its files. */
export type Owner = { name: string; uid: number; gid: number };

/** @throws OperationFailed there is no such user */
export function ownerNamed(name: string): Owner {
  const { status, stdout } = spawnSync('getent', ['passwd', name], { encoding: 'utf8' });
  const [, , uid, gid] = status === 0 ? stdout.trim().split(':') : [];
  if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  throw new VirgaError('OperationFailed', {
    detail: `There is no user ${name}, which the database runs as.`,
    action: 'Run script/up, which makes it.',
  });
}

/** Installed versions, newest first, by their folder of programs. */
function installedVersions(): { version: string; programs: string }[] {
  return globSync('/usr/lib/postgresql/*/bin/postgres')
    .map((path) => ({ version: path.split('/')[4] ?? '', programs: dirname(path) }))
    .sort((a, b) => Number(b.version) - Number(a.version));
}

/**
 * The programs that a data folder needs: those of the version that made it, or the newest for one that is yet to be made.
 * @throws OperationFailed that version is not installed
 */
export function programsFor(dataFolder: string): string {
  const versions = installedVersions();
  const versionFile = join(dataFolder, 'PG_VERSION');
  const made = existsSync(versionFile) ? readFileSync(versionFile, 'utf8').trim() : undefined;
  const found = made === undefined ? versions[0] : versions.find(({ version }) => version === made);
  if (found) return found.programs;
  throw new VirgaError('OperationFailed', {
    detail: made
      ? `The database was made by PostgreSQL ${made}, which is not installed${versions[0] ? ` (${versions[0].version} is)` : ''}.`
      : 'PostgreSQL is not installed.',
    action: `Install it: apt-get install postgresql${made ? `-${made}` : ''}`,
  });
}

/** Makes the cluster unless it is there. It gets its name when it is whole and on the disk. */
export async function ensureCluster(dataFolder: string, owner: Owner): Promise<void> {
  const unfinished = `${dataFolder}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  if (existsSync(dataFolder)) return;
  mkdirSync(unfinished, { mode: 0o700 });
  chownSync(unfinished, owner.uid, owner.gid);
  await runCommand(
    [
      join(programsFor(dataFolder), 'initdb'),
      ...['--pgdata', unfinished, '--username', owner.name, '--data-checksums', '--no-instructions'],
      // The order of the C locale does not change with the C library, which would break indexes silently.
      ...['--encoding', 'UTF8', '--locale', 'C', '--auth', 'peer'],
    ],
    { cwd: '/', user: owner },
  );
  renameSync(unfinished, dataFolder);
  await flushFolder(dirname(dataFolder));
}

/**
 * Writes the settings, anew for every start, because they belong to the program and not to the data. Who wants others
 * uses ALTER SYSTEM, which goes before these.
 */
export async function writeSettings(dataFolder: string, owner: Owner): Promise<void> {
  const files = {
    'postgresql.conf': `# Written by Virga at every start of the database. Use ALTER SYSTEM to change a setting.
shared_buffers = 32MB
max_connections = 200
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
`,
    // Who a connection is, the kernel says. Only the owner and root become the one role there is.
    'pg_hba.conf': 'local all all peer map=virga\nlocal replication all peer map=virga\n',
    'pg_ident.conf': `virga root ${owner.name}\nvirga ${owner.name} ${owner.name}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    const path = join(dataFolder, name);
    await writeFileDurably(path, text, 0o600);
    chownSync(path, owner.uid, owner.gid);
  }
}

/** The last words of a log, for an error. */
export function lastLogWords(logPath: string): string {
  return existsSync(logPath) ? lastWords(readFileSync(logPath, 'utf8').slice(-4096)) : 'it said nothing.';
}
