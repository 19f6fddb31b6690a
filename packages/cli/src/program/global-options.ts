// The options that every command has, and what the environment and exit codes mean to all of them.
import type { OptionDefinition } from '../command.ts';
import type { GlobalOptions } from '../context.ts';
import { outputFormats } from '../output/printer.ts';

export const globalOptions = {
  output: {
    type: 'text',
    value: 'FORMAT',
    choices: outputFormats,
    default: 'table',
    summary: 'how results are printed',
  },
  server: { type: 'text', value: 'URL', summary: 'address of the server; default that of the profile' },
  project: {
    type: 'text',
    value: 'PROJECT',
    summary: 'project to work in; default that of the profile',
    complete: 'project',
  },
  profile: {
    type: 'text',
    value: 'NAME',
    summary: 'which login to use; virga profiles lists them',
    complete: 'profile',
  },
  quiet: { type: 'flag', summary: 'print ids and errors only' },
  noColor: { type: 'flag', summary: 'no colours' },
} as const satisfies Record<string, OptionDefinition>;

/** One-letter forms. */
export const shortFlags: Readonly<Record<string, string>> = { output: '-o', quiet: '-q', help: '-h', version: '-V' };

export const environment: readonly (readonly [string, string])[] = [
  ['VIRGA_SERVER', 'as --server'],
  ['VIRGA_PROJECT', 'as --project'],
  ['VIRGA_PROFILE', 'as --profile'],
  ['VIRGA_ACCESS_KEY_ID', 'API key to sign in with instead of a profile, together with VIRGA_SECRET_ACCESS_KEY'],
  ['VIRGA_SSH_PORT', 'port on which guests listen for SSH; default 22'],
  ['VIRGA_DEBUG', 'also print where an error comes from'],
  ['NO_COLOR', 'as --no-color'],
];

/** As the error registry gives them out, and 130 for Ctrl-C. */
export const exitCodes: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [1, 'a mistake of Virga'],
  [2, 'bad input'],
  [3, 'not found'],
  [4, 'the state does not allow it'],
  [5, 'not signed in, or not allowed'],
  [6, 'something cannot be reached'],
  [7, 'no room'],
  [8, 'the operation failed'],
  [130, 'interrupted, or the answer to a question was no'],
];

export function readGlobals(values: Readonly<Record<string, unknown>>): GlobalOptions {
  const text = (name: string) => (typeof values[name] === 'string' ? values[name] : undefined);
  return {
    server: text('server'),
    project: text('project'),
    profile: text('profile'),
    output: outputFormats.find((format) => format === values.output) ?? 'table',
    quiet: values.quiet === true,
    color: values.noColor !== true,
  };
}
