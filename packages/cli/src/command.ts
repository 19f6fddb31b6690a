// A command as data: what it is called, what it takes, examples, and what it does. Nothing here knows commander; help,
// completion and the reference page are all made from this data. A command's heavy imports happen inside `run`.
import type { CommandContext } from './context.ts';

/** What a name on the command line stands for, so that a shell can complete it. */
export type NameKind =
  | 'instance'
  | 'image'
  | 'network'
  | 'volume'
  | 'snapshot'
  | 'pool'
  | 'type'
  | 'key'
  | 'host'
  | 'project'
  | 'user'
  | 'member'
  | 'operation'
  | 'apiKey'
  | 'profile'
  /** A path on this machine; the shell completes it by itself. */
  | 'file';

export type ArgumentDefinition = {
  summary: string;
  optional?: true;
  /** Takes all that follow; the last argument only. */
  variadic?: true;
  complete?: NameKind;
  choices?: readonly string[];
};

type OptionBase = { summary: string; complete?: NameKind };
export type FlagOption = OptionBase & { type: 'flag' };
export type TextOption = OptionBase & {
  type: 'text';
  /** What the help calls the value, such as `NAME`. */
  value: string;
  choices?: readonly string[];
  default?: string;
  required?: true;
  /** The value when the option stands alone. Then a value must be joined to it with `=`. */
  whenBare?: string;
};
export type TextsOption = OptionBase & { type: 'texts'; value: string };
export type IntegerOption = OptionBase & {
  type: 'integer';
  value: string;
  minimum: number;
  maximum: number;
  default?: number;
  required?: true;
};
export type OptionDefinition = FlagOption | TextOption | TextsOption | IntegerOption;

type ArgumentValue<A> = A extends { variadic: true }
  ? string[]
  : A extends { optional: true }
    ? string | undefined
    : string;
type OptionValue<O> = O extends { type: 'flag' }
  ? boolean
  : O extends { type: 'texts' }
    ? string[]
    :
        | (O extends { type: 'integer' } ? number : O extends { choices: readonly (infer C)[] } ? C : string)
        | (O extends { required: true } | { default: unknown } ? never : undefined);

/** What `run` gets: the values of the declared arguments and options, by name. */
export type CommandInput<A, O> = {
  args: { [K in keyof A]: ArgumentValue<A[K]> };
  options: { [K in keyof O]: OptionValue<O[K]> };
};

export type CommandMeta = {
  /** Words after `virga`, such as `images register`. */
  path: string;
  /** One line for the list of commands, without a full stop. */
  summary: string;
  /** More for the command's own help: paragraphs without markup. */
  details?: string;
  /** Heading under which `virga --help` shows it; taken from the first command of a group. */
  section: string;
  /** Runs when only the group is named: `virga images` is `virga images list`. */
  groupDefault?: true;
  /** Another word for a command of one word. */
  alias?: string;
};

export type Example = { command: string; explains: string };

type Arguments = Record<string, ArgumentDefinition>;
type Options = Record<string, OptionDefinition>;

export type CommandDefinition = {
  meta: CommandMeta;
  args: Arguments;
  options: Options;
  examples: readonly Example[];
  /** Answers the exit code; nothing is 0. */
  run(
    context: CommandContext,
    input: { args: Record<string, string | string[] | undefined>; options: Record<string, unknown> },
  ): Promise<number | undefined>;
};

/** Declares a command; `run` is typed from `args` and `options`. */
export function defineCommand<const A extends Arguments, const O extends Options>(definition: {
  meta: CommandMeta;
  args: A;
  options: O;
  examples: readonly Example[];
  run(context: CommandContext, input: CommandInput<A, O>): Promise<number | undefined>;
}): CommandDefinition {
  return definition as unknown as CommandDefinition;
}

/** Name of an option as typed: `userData` is `--user-data`. */
export function optionFlag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
