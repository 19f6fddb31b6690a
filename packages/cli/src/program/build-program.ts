// The parser of the command line, made from the tree of commands.
import { Argument } from 'commander';
import { type CommandDefinition, type OptionDefinition, optionFlag } from '../command.ts';
import type { Terminal } from '../output/terminal.ts';
import { type CommandTree, wordsOf } from './command-tree.ts';
import { globalOptions, shortFlags } from './global-options.ts';
import { commandHelp, groupHelp, rootHelp } from './help-text.ts';
import { readChoice, readInteger } from './usage-error.ts';
import { NamedOption, VirgaCommand } from './virga-command.ts';

export type Invocation = {
  command: CommandDefinition;
  args: Record<string, string | string[] | undefined>;
  options: Record<string, unknown>;
};

export type ProgramDeps = {
  tree: CommandTree;
  version: string;
  /** What help may look like. */
  terminal: Terminal;
  writeHelp: (text: string) => void;
  invoke: (invocation: Invocation) => Promise<void>;
};

/** `parseAsync` of it invokes a command, or throws: VirgaError for a mistake, CommanderError after help. */
export function buildProgram(deps: ProgramDeps): VirgaCommand {
  const { tree, terminal, version } = deps;
  const root = new VirgaCommand('virga', '');
  root.version(version, '-V, --version');
  addOptions(root, globalOptions);
  setUp(root, deps, () => rootHelp(tree, terminal));
  for (const node of tree.nodes) {
    if (node.kind === 'command') {
      root.addCommand(leafOf(node.command, node.name, deps));
      continue;
    }
    const { group } = node;
    const parent = new VirgaCommand(group.name, group.name);
    if (group.alias !== undefined) parent.alias(group.alias);
    setUp(parent, deps, () => groupHelp(group, terminal));
    for (const command of group.commands) {
      const leaf = leafOf(command, wordsOf(command.meta.path)[1], deps);
      parent.addCommand(leaf, { isDefault: command === group.default });
    }
    root.addCommand(parent);
  }
  return root;
}

function leafOf(definition: CommandDefinition, name: string, deps: ProgramDeps): VirgaCommand {
  const { meta, args, options } = definition;
  const variadic = Object.values(args).some((argument) => argument.variadic);
  const leaf = new VirgaCommand(name, meta.path, variadic);
  setUp(leaf, deps, () => commandHelp(definition, deps.terminal));
  if (meta.alias) leaf.alias(meta.alias);
  for (const [argumentName, { optional, variadic, choices }] of Object.entries(args)) {
    const term = variadic ? `${argumentName}...` : argumentName;
    const argument = new Argument(optional ? `[${term}]` : `<${term}>`);
    if (choices) argument.argParser((value: string) => readChoice(argumentName.toUpperCase(), value, choices));
    leaf.addArgument(argument);
  }
  addOptions(leaf, options);
  leaf.action(async () => {
    const names = Object.keys(args);
    const values = Object.fromEntries(names.map((argument, index) => [argument, leaf.processedArgs[index]]));
    await deps.invoke({ command: definition, args: values, options: leaf.opts() });
  });
  return leaf;
}

function addOptions(command: VirgaCommand, options: Readonly<Record<string, OptionDefinition>>): void {
  for (const [name, definition] of Object.entries(options)) {
    const flag = optionFlag(name);
    const value = definition.type === 'flag' ? '' : ` <${definition.value}>`;
    const short = shortFlags[name];
    const option = new NamedOption(`${short ? `${short}, ` : ''}${flag}${value}`, name);
    if (definition.type === 'flag') option.default(false);
    if (definition.type === 'text') {
      const { choices, whenBare } = definition;
      if (choices) option.argParser((text: string) => readChoice(flag, text, choices));
      if (whenBare !== undefined) command.bareValues.set(flag, whenBare);
    }
    if (definition.type === 'integer') option.argParser((text: string) => readInteger(flag, text, definition));
    if (definition.type === 'texts') {
      option.default([]).argParser((text: string, earlier: string[]) => [...earlier, text]);
    }
    if ('default' in definition && definition.default !== undefined) option.default(definition.default);
    if ('required' in definition && definition.required) option.makeOptionMandatory();
    command.addOption(option);
  }
}

function setUp(command: VirgaCommand, { writeHelp }: ProgramDeps, help: () => string): void {
  command
    .exitOverride()
    .helpOption('-h, --help')
    .configureOutput({ writeOut: writeHelp, writeErr: writeHelp })
    .configureHelp({ formatHelp: help });
}
