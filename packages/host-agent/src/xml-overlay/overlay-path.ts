// Where an element is in a document, in words that stay true when others come and go: by its alias, its MAC address or its
// target, and by its number only where nothing else tells it from its neighbours.
// Such as /domain/devices/interface[mac@address="52:54:00:00:00:01"]/model. Pure.
import type { XmlNode } from './xml-tree.ts';

type Step = { name: string; tests: [key: string, value: string][]; index: number | undefined };

/** What tells elements of one name apart, best first. `child@attribute` looks at the first child of that name. */
const strongKeys = [['alias@name'], ['mac@address'], ['target@dev'], ['target@name'], ['@type', '@index']];
const weakKeys = [['@name'], ['@type'], ['@bus'], ['@model'], ['@id']];
/** libvirt numbers aliases anew; only those that somebody chose stay. */
const chosenAlias = /^ua-/;

/** How a child is called among its siblings. */
export function stepTo(parent: XmlNode, child: XmlNode): string {
  const rivals = parent.children.filter(({ name }) => name === child.name);
  const inDevices = parent.name === 'devices';
  const candidates = rivals.length > 1 ? [...strongKeys, ...weakKeys] : inDevices ? strongKeys : [];
  for (const keys of candidates) {
    const tests = keys.map((key): [string, string | undefined] => [key, attributeAt(child, key)]);
    if (!tests.every((test): test is [string, string] => test[1] !== undefined)) continue;
    if (rivals.filter((rival) => passes(rival, tests)).length === 1) return child.name + tests.map(written).join('');
  }
  return rivals.length > 1 ? `${child.name}[${rivals.indexOf(child) + 1}]` : child.name;
}

const written = ([key, value]: [string, string]): string => `[${key}=${JSON.stringify(value)}]`;

/** The elements from the root to the one that a path leads to; undefined when it leads nowhere, or to several. */
export function follow(root: XmlNode, path: string): XmlNode[] | undefined {
  const [first, ...steps] = parsePath(path);
  if (first?.name !== root.name) return undefined;
  const line = [root];
  for (const step of steps) {
    const found = line.at(-1)!.children.filter((child) => child.name === step.name && passes(child, step.tests));
    const next = step.index === undefined ? (found.length === 1 ? found[0] : undefined) : found[step.index - 1];
    if (next === undefined) return undefined;
    line.push(next);
  }
  return line;
}

/** The path without its last step. */
export function parentPath(path: string): string {
  const steps = splitPath(path);
  return `/${steps.slice(0, -1).join('/')}`;
}

/** @throws SyntaxError */
export function parsePath(path: string): Step[] {
  return splitPath(path).map((text) => {
    const name = /^[\w:.-]+/.exec(text)?.[0];
    if (name === undefined) throw new SyntaxError(`${path} is no path`);
    const tests: [string, string][] = [];
    let index: number | undefined;
    let rest = text.slice(name.length);
    while (rest !== '') {
      const match = /^\[(?:(\d+)|([\w:.-]*@[\w:.-]+)=("(?:[^"\\]|\\.)*"))\]/.exec(rest);
      if (match === null) throw new SyntaxError(`${path} is no path`);
      if (match[1] !== undefined) index = Number(match[1]);
      else tests.push([match[2]!, JSON.parse(match[3]!) as string]);
      rest = rest.slice(match[0].length);
    }
    return { name, tests, index };
  });
}

/** Splits at slashes that are not in quotes. */
function splitPath(path: string): string[] {
  if (!path.startsWith('/')) throw new SyntaxError(`${path} is no path`);
  return path.slice(1).match(/(?:[^/"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
}

const passes = (node: XmlNode, tests: [string, string][]): boolean =>
  tests.every(([key, value]) => attributeAt(node, key) === value);

function attributeAt(node: XmlNode, key: string): string | undefined {
  const [child = '', attribute = ''] = key.split('@');
  const value =
    child === '' ? node.attributes[attribute] : node.children.find(({ name }) => name === child)?.attributes[attribute];
  return key === 'alias@name' && value !== undefined && !chosenAlias.test(value) ? undefined : value;
}
