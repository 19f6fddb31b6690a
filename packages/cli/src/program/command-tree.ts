// The table of commands as a tree of at most two words. Pure: parsing, help, completion and the reference page read it.
import type { CommandDefinition } from '../command.ts';

export type CommandGroup = {
  name: string;
  /** Another word for it: its singular, unless that is a command of its own. */
  alias: string | undefined;
  summary: string;
  commands: readonly CommandDefinition[];
  /** Runs when only the group is named. */
  default: CommandDefinition | undefined;
};

/** What may stand first on the command line, in the order of the table. */
export type CommandNode =
  | { kind: 'command'; name: string; section: string; summary: string; command: CommandDefinition }
  | { kind: 'group'; name: string; section: string; summary: string; group: CommandGroup };

export type CommandTree = { nodes: readonly CommandNode[]; commands: readonly CommandDefinition[] };

export function buildTree(
  commands: readonly CommandDefinition[],
  groupSummaries: Readonly<Record<string, string>>,
): CommandTree {
  const byName = Map.groupBy(commands, ({ meta }) => wordsOf(meta.path)[0]);
  const nodes = [...byName].map(([name, members]): CommandNode => {
    const first = members[0]!;
    const { section, summary } = first.meta;
    if (members.length === 1 && first.meta.path === name) {
      return { kind: 'command', name, section, summary, command: first };
    }
    const singular = singularOf(name);
    const group = {
      name,
      alias: byName.has(singular) ? undefined : singular,
      summary: groupSummaries[name] ?? summary,
      commands: members,
      default: members.find(({ meta }) => meta.groupDefault),
    };
    return { kind: 'group', name, section, summary: group.summary, group };
  });
  return { nodes, commands };
}

export function findNode(tree: CommandTree, word: string): CommandNode | undefined {
  return tree.nodes.find((node) => node.name === word || aliasOf(node) === word);
}

const aliasOf = (node: CommandNode) => (node.kind === 'command' ? node.command.meta.alias : node.group.alias);

/** Of the names that groups have: plain nouns. */
const singularOf = (noun: string): string => noun.replace(/ies$/, 'y').replace(/s$/, '');

/** First and second word of a path; the second is empty for a command of one word. */
export function wordsOf(path: string): [string, string] {
  const [first = '', second = ''] = path.split(' ');
  return [first, second];
}

export function sectionsOf(tree: CommandTree): { title: string; nodes: CommandNode[] }[] {
  const titles = [...new Set(tree.nodes.map(({ section }) => section))];
  return titles.map((title) => ({ title, nodes: tree.nodes.filter(({ section }) => section === title) }));
}
