// The executable: every command of the command line, and those that make and run a cloud on this machine.
import { runCli } from '@virga/cli/main';
import { version } from './build-info.ts';
import { down } from './commands/down.ts';
import { recover } from './commands/recover.ts';
import { server } from './commands/server.ts';
import { up } from './commands/up.ts';

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  version,
  extraCommands: [up, down, server, recover],
});
