// The command line: reads the words, runs one command, answers the exit code. Never ends the process and never throws:
// every failure becomes a report on stderr.
import { CommanderError } from 'commander';
import type { CliIo } from './cli-io.ts';
import { commandTable, groupSummaries } from './commands/command-table.ts';
import { createContext } from './context.ts';
import { interruptedExit, isInterruption } from './interrupt.ts';
import { reportError } from './output/error-report.ts';
import { terminalOf } from './output/terminal.ts';
import { guardOutput } from './output-guard.ts';
import { packageVersion } from './package-version.ts';
import { buildProgram, type Invocation } from './program/build-program.ts';
import { buildTree } from './program/command-tree.ts';
import { readGlobals } from './program/global-options.ts';
import { rootHelp } from './program/help-text.ts';

/** The word with which a shell asks what could stand next; see completion/scripts.ts. */
const completionWord = '__complete';

/**
 * Runs one command line.
 * @param argv the words after `virga`
 * @returns the exit code, from the error registry; 130 when the user interrupted
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const tree = buildTree([...commandTable, ...(io.extraCommands ?? [])], { ...groupSummaries, ...io.extraGroups });
  const guard = guardOutput(io);
  try {
    if (argv[0] === completionWord) {
      const { answerCompletion } = await import('./completion/answer-completion.ts');
      return await answerCompletion(tree, argv.slice(argv[1] === '--' ? 2 : 1), io);
    }
    const terminal = terminalOf(io.stdout, io.env, !argv.includes('--no-color'));
    const writeHelp = (text: string) => void io.stdout.write(text);
    if (argv.length === 0) {
      writeHelp(rootHelp(tree, terminal));
      return 0;
    }
    let exit = 0;
    const program = buildProgram({
      tree,
      version: io.version ?? packageVersion,
      terminal,
      writeHelp,
      invoke: async (invocation) => {
        exit = await runCommand(invocation, readGlobals(program.opts()), io, guard.closed);
      },
    });
    try {
      await program.parseAsync([...argv], { from: 'user' });
      return exit;
    } catch (error) {
      // Help and version were asked for, or printed for lack of a command.
      if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
      const { output, color } = readGlobals(program.opts());
      return await reportError(io, error, output, color);
    }
  } finally {
    guard.dispose();
  }
}

async function runCommand(
  { command, args, options }: Invocation,
  globals: ReturnType<typeof readGlobals>,
  io: CliIo,
  outputClosed: AbortSignal,
): Promise<number> {
  const context = createContext(io, globals, outputClosed);
  try {
    return (await command.run(context, { args, options })) ?? 0;
  } catch (error) {
    if (!isInterruption(error)) return await reportError(io, error, globals.output, globals.color);
    if (outputClosed.aborted && !context.interrupted()) return 0;
    io.stderr.write(`${error.name === 'Interrupted' ? error.message : 'Interrupted.'}\n`);
    return interruptedExit;
  } finally {
    context.dispose();
  }
}
