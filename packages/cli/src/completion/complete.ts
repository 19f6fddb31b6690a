// What could stand where the cursor is. Pure: words in, candidates out; names are left to whoever can ask the server.
import {
  type ArgumentDefinition,
  type CommandDefinition,
  type NameKind,
  type OptionDefinition,
  optionFlag,
} from '../command.ts';
import { type CommandGroup, type CommandTree, findNode, wordsOf } from '../program/command-tree.ts';
import { globalOptions, shortFlags } from '../program/global-options.ts';

export type Candidate = { value: string; description: string };

export type Completion = {
  candidates: Candidate[];
  /** Names of this kind fit too; `joined` stands before each. */
  names?: { kind: Exclude<NameKind, 'file'>; joined: string };
  files: boolean;
  /** Values of the options that were typed so far, such as `profile`. */
  given: Readonly<Record<string, string>>;
  /** Words that were typed so far in place of arguments: a name is not offered twice. */
  taken: readonly string[];
};

type Options = Readonly<Record<string, OptionDefinition>>;

/** @param words what follows `virga`; the last one is under the cursor and may be empty */
export function complete(tree: CommandTree, words: readonly string[]): Completion {
  const state = read(tree, words.slice(0, -1));
  const last = words.at(-1) ?? '';
  const found = candidatesAt(tree, state, last);
  const candidates = found.candidates.filter(({ value }) => value.startsWith(last));
  return { ...found, candidates, given: state.given, taken: state.positionals };
}

type State = {
  command: CommandDefinition | undefined;
  group: CommandGroup | undefined;
  positionals: string[];
  given: Record<string, string>;
  used: Set<string>;
  /** The option whose value comes next. */
  pending: [string, OptionDefinition] | undefined;
  /** `--` has been typed. */
  literal: boolean;
};

function read(tree: CommandTree, words: readonly string[]): State {
  const state: State = {
    command: undefined,
    group: undefined,
    positionals: [],
    given: {},
    used: new Set(),
    pending: undefined,
    literal: false,
  };
  for (const word of words) {
    if (state.pending) {
      state.given[state.pending[0]] = word;
      state.pending = undefined;
    } else if (state.literal) state.positionals.push(word);
    else if (word === '--') state.literal = true;
    else if (word.startsWith('-')) readOption(state, word);
    else readWord(tree, state, word);
  }
  return state;
}

function readOption(state: State, word: string): void {
  const [flag = '', ...rest] = word.split('=');
  const found = Object.entries(optionsOf(state)).find(
    ([name]) => optionFlag(name) === flag || shortFlags[name] === flag,
  );
  if (!found) return;
  const [name, option] = found;
  state.used.add(name);
  if (rest.length > 0) state.given[name] = rest.join('=');
  else if (option.type !== 'flag' && !('whenBare' in option && option.whenBare !== undefined)) state.pending = found;
}

function readWord(tree: CommandTree, state: State, word: string): void {
  if (state.command) {
    state.positionals.push(word);
    return;
  }
  if (state.group) {
    state.command = state.group.commands.find(({ meta }) => wordsOf(meta.path)[1] === word);
    return;
  }
  const node = findNode(tree, word);
  if (node?.kind === 'command') state.command = node.command;
  if (node?.kind === 'group') state.group = node.group;
}

/** A group that is named alone stands for its default command. */
const commandOf = ({ command, group }: State) => command ?? group?.default;
const optionsOf = (state: State): Options => ({ ...commandOf(state)?.options, ...globalOptions });

type Found = Pick<Completion, 'candidates' | 'names' | 'files'>;
const nothing: Found = { candidates: [], files: false };

function candidatesAt(tree: CommandTree, state: State, last: string): Found {
  if (state.pending) return valuesOf(state.pending[1], '');
  if (!state.literal && last.startsWith('-')) {
    const equals = last.indexOf('=');
    if (equals < 0) return { candidates: flagsOf(state), files: false };
    const flag = last.slice(0, equals);
    const option = Object.entries(optionsOf(state)).find(([name]) => optionFlag(name) === flag)?.[1];
    return option ? valuesOf(option, `${flag}=`) : nothing;
  }
  if (state.command) return argumentAt(state.command, state.positionals.length);
  const words = state.group
    ? state.group.commands.map(({ meta }) => ({ value: wordsOf(meta.path)[1], description: meta.summary }))
    : tree.nodes.map(({ name, summary }) => ({ value: name, description: summary }));
  return { candidates: words, files: false };
}

function argumentAt({ args }: CommandDefinition, position: number): Found {
  const all: ArgumentDefinition[] = Object.values(args);
  const last = all.at(-1);
  const argument = all[position] ?? (last?.variadic ? last : undefined);
  if (!argument) return nothing;
  if (argument.choices) return { candidates: argument.choices.map(plain), files: false };
  return namesOf(argument.complete, '');
}

function valuesOf(option: OptionDefinition, joined: string): Found {
  if (option.type === 'text' && option.choices) {
    return { candidates: option.choices.map((choice) => plain(joined + choice)), files: false };
  }
  return namesOf(option.complete, joined);
}

function namesOf(kind: NameKind | undefined, joined: string): Found {
  if (kind === undefined) return nothing;
  return kind === 'file' ? { candidates: [], files: true } : { candidates: [], names: { kind, joined }, files: false };
}

/** Options that may still be given: only those that may be repeated are offered again. */
function flagsOf(state: State): Candidate[] {
  const open = Object.entries(optionsOf(state)).filter(([name, { type }]) => type === 'texts' || !state.used.has(name));
  return [
    ...open.map(([name, { summary }]) => ({ value: optionFlag(name), description: summary })),
    { value: '--help', description: 'show the help' },
  ];
}

const plain = (value: string): Candidate => ({ value, description: '' });
