// What the command line needs of the executable around it. `process` satisfies the streams, so the executable passes
// `{ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env }`; tests pass their own.
import type { CommandDefinition } from './command.ts';
import type { TerminalIo } from './terminal-io.ts';

export type CliIo = TerminalIo & {
  /** Commands that the executable adds, such as those of the server. */
  extraCommands?: readonly CommandDefinition[] | undefined;
  /** Summaries of the groups that extra commands make, by group: `{ host: 'Look after this host' }`. */
  extraGroups?: Readonly<Record<string, string>> | undefined;
  /** Default the version of this package. */
  version?: string | undefined;
};
