// What --help prints, made from the same data that the parser is made from. Pure.
import { type ArgumentDefinition, type CommandDefinition, type OptionDefinition, optionFlag } from '../command.ts';
import type { Terminal } from '../output/terminal.ts';
import { type CommandGroup, type CommandTree, sectionsOf, wordsOf } from './command-tree.ts';
import { environment, exitCodes, globalOptions, shortFlags } from './global-options.ts';

type Row = readonly [string, string];

const widest = 100;
const indent = 2;
const mostTermWidth = 28;

export function rootHelp(tree: CommandTree, terminal: Terminal): string {
  const page = pageFor(terminal);
  return page.join([
    'Virga: a private cloud on KVM.',
    page.titled('Usage', ['virga COMMAND [OPTIONS]']),
    ...sectionsOf(tree).map(({ title, nodes }) =>
      page.titled(title, page.rows(nodes.map((node) => [node.name, node.summary]))),
    ),
    page.titled('Options of every command', page.rows(globalRows())),
    page.titled('Environment', page.rows(environment)),
    page.titled('Exit codes', page.rows(exitCodes.map(([code, meaning]) => [String(code), meaning]))),
    'virga COMMAND --help shows the options of a command, with examples.',
  ]);
}

export function groupHelp(group: CommandGroup, terminal: Terminal): string {
  const page = pageFor(terminal);
  const [, byDefault] = group.default ? wordsOf(group.default.meta.path) : [];
  return page.join([
    `${group.summary}.`,
    page.titled('Usage', [`virga ${group.name} ${byDefault ? '[COMMAND]' : 'COMMAND'} [OPTIONS]`]),
    page.titled(
      'Commands',
      page.rows(
        group.commands.map(({ meta }): Row => {
          const word = wordsOf(meta.path)[1];
          return [word, word === byDefault ? `${meta.summary} (without COMMAND)` : meta.summary];
        }),
      ),
    ),
    page.titled('Examples', page.examples(group.commands.flatMap(({ examples }) => examples.slice(0, 1)))),
    `virga ${group.name} COMMAND --help shows the options of a command.`,
  ]);
}

export function commandHelp(command: CommandDefinition, terminal: Terminal): string {
  const page = pageFor(terminal);
  const { meta, args, options, examples } = command;
  return page.join([
    `${meta.summary}.`,
    ...(meta.details ? [page.wrapped(meta.details)] : []),
    page.titled('Usage', [usageOf(command)]),
    page.titled('Arguments', page.rows(Object.entries(args).map(argumentRow))),
    page.titled('Options', page.rows([...Object.entries(options).map(optionRow), helpRow])),
    page.titled('Options of every command', page.rows(globalRows().slice(0, -2))),
    page.titled('Examples', page.examples(examples)),
  ]);
}

/** Such as `virga launch [NAME] --image IMAGE --type TYPE [OPTIONS]`. */
export function usageOf({ meta, args, options }: CommandDefinition): string {
  const required = Object.entries(options).filter(([, option]) => 'required' in option && option.required);
  return [
    `virga ${meta.path}`,
    ...required.map(([name, option]) => `${optionFlag(name)} ${(option as { value: string }).value}`),
    '[OPTIONS]',
    ...Object.entries(args).map(([name, argument]) => argumentTerm(name, argument)),
  ].join(' ');
}

export function argumentTerm(name: string, { optional, variadic }: ArgumentDefinition): string {
  const term = `${name.toUpperCase()}${variadic ? '...' : ''}`;
  return optional ? `[${term}]` : term;
}

export const argumentRow = ([name, argument]: [string, ArgumentDefinition]): Row => [
  argumentTerm(name, argument),
  argument.summary + choicesOf(argument.choices),
];

export function optionRow([name, option]: [string, OptionDefinition]): Row {
  const short = shortFlags[name];
  const flag = `${short ? `${short}, ` : ''}${optionFlag(name)}`;
  if (option.type === 'flag') return [flag, option.summary];
  const { whenBare, choices } = option.type === 'text' ? option : {};
  const notes = [
    'required' in option && option.required ? 'required' : '',
    'default' in option && option.default !== undefined ? `default ${option.default}` : '',
  ].filter((note) => note !== '');
  return [
    whenBare === undefined ? `${flag} ${option.value}` : `${flag}[=${option.value}]`,
    option.summary + choicesOf(choices) + (notes.length > 0 ? ` (${notes.join(', ')})` : ''),
  ];
}

const helpRow: Row = ['-h, --help', 'show this help'];

export function globalRows(): Row[] {
  return [
    ...Object.entries<OptionDefinition>(globalOptions).map(optionRow),
    helpRow,
    ['-V, --version', 'show the version'],
  ];
}

const choicesOf = (choices: readonly string[] | undefined) => (choices ? `: ${choices.join(', ')}` : '');

function pageFor(terminal: Terminal) {
  const width = Math.min(terminal.width, widest);
  const title = (text: string) => terminal.paint('bold', text);
  return {
    /** Parts below each other, with an empty line between; empty parts are left out. */
    join: (parts: readonly string[]) => `${parts.filter((part) => part !== '').join('\n\n')}\n`,
    titled: (text: string, lines: readonly string[]) =>
      lines.length === 0 ? '' : [title(text), ...lines.map((line) => `${' '.repeat(indent)}${line}`)].join('\n'),
    wrapped: (text: string) => wrap(text, width).join('\n'),
    rows(rows: readonly Row[]): string[] {
      const termWidth = Math.min(mostTermWidth, Math.max(0, ...rows.map(([term]) => term.length)));
      return rows.flatMap(([term, text]) => {
        const lines = wrap(text, Math.max(20, width - indent - termWidth - 2));
        const hanging = lines.map((line) => `${' '.repeat(termWidth + 2)}${line}`);
        if (term.length > termWidth) return [term, ...hanging];
        return [`${term.padEnd(termWidth)}  ${lines[0] ?? ''}`, ...hanging.slice(1)];
      });
    },
    examples: (examples: readonly { command: string; explains: string }[]) =>
      examples.flatMap(({ command, explains }) => [command, `    ${terminal.paint('dim', explains)}`]),
  };
}

/** Lines of at most `width` characters; a word that is longer has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
