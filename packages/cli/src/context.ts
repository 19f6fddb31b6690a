// What a running command works with: settings, client, printer, prompts. Each is made when it is first asked for, so that
// a command loads only what it uses.
import type { Client, ClientOptions } from '@virga/contract/client';
import { readSettings, requireCredentials, type Settings } from './config/settings.ts';
import { createInterrupt, type Interrupt } from './interrupt.ts';
import { createPrinter, type OutputFormat, type Printer } from './output/printer.ts';
import { createProgress, type Progress } from './output/progress.ts';
import type { TerminalIo } from './terminal-io.ts';

export type GlobalOptions = {
  server: string | undefined;
  project: string | undefined;
  profile: string | undefined;
  output: OutputFormat;
  quiet: boolean;
  color: boolean;
};

export type CommandContext = {
  readonly io: TerminalIo;
  readonly globals: GlobalOptions;
  readonly print: Printer;
  settings(): Promise<Settings>;
  /** Signed in as the profile or the environment says. @throws Unauthenticated there is nothing to sign in with */
  client(): Promise<Client>;
  /** What a stream or WebSocket needs to sign in as `client` does. */
  connection(): Promise<ClientOptions>;
  /** Aborts when the user interrupts. From the first call on, Ctrl-C no longer ends the process by itself. */
  interrupt(): AbortSignal;
  /** As `interrupt`, and aborts too when nobody reads stdout any more: for what would otherwise never end. */
  endless(): AbortSignal;
  progress(): Progress;
  nowMs(): number;
};

export function createContext(
  io: TerminalIo,
  globals: GlobalOptions,
  outputClosed: AbortSignal,
): CommandContext & { interrupted(): boolean; dispose(): void } {
  let interrupt: Interrupt | undefined;
  let settings: Promise<Settings> | undefined;
  const context = {
    io,
    globals,
    print: createPrinter(io, globals),
    settings: () => {
      settings ??= readSettings(globals, io.env);
      return settings;
    },
    connection: async (): Promise<ClientOptions> => {
      const { server, accessKeyId, secret, project } = requireCredentials(await context.settings());
      return { server, accessKeyId, secret, project };
    },
    client: async (): Promise<Client> => {
      const [{ createClient }, connection] = await Promise.all([
        import('@virga/contract/client'),
        context.connection(),
      ]);
      return createClient(connection);
    },
    interrupt: (): AbortSignal => {
      interrupt ??= createInterrupt(io);
      return interrupt.signal;
    },
    interrupted: () => interrupt?.signal.aborted ?? false,
    endless: (): AbortSignal => AbortSignal.any([context.interrupt(), outputClosed]),
    progress: () => createProgress(io, globals),
    nowMs: () => (io.clock ?? Date.now)(),
    dispose: () => interrupt?.dispose(),
  };
  return context;
}
