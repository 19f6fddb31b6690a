// XML as a tree that can be changed and written again: names with their prefixes, order kept, white space between elements
// dropped. Comments and processing instructions are not kept, as libvirt keeps none either.
import { XMLParser } from 'fast-xml-parser';
import { decodeEntities, escapeXml } from '../libvirt/xml.ts';

export type XmlNode = {
  name: string;
  attributes: Record<string, string>;
  /** Text of an element that has no child elements. */
  text: string;
  children: XmlNode[];
};

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  // A document type could define entities; only the built-in ones are decoded, below.
  processEntities: false,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
});

type Parsed = { [name: string]: Parsed[] | string | Record<string, string> };
const namespacePrefix = 'xmlns:';

/** @throws SyntaxError it is no document of one element */
export function parseTree(document: string): XmlNode {
  let nodes: Parsed[];
  try {
    nodes = parser.parse(document, true) as Parsed[];
  } catch (cause) {
    throw new SyntaxError(`the XML cannot be read: ${(cause as Error).message}`, { cause });
  }
  const roots = nodes.map(toNode).filter((node) => node !== undefined);
  const [root] = roots;
  if (root === undefined || roots.length > 1) throw new SyntaxError('the document has no single element');
  return root;
}

function toNode(parsed: Parsed): XmlNode | undefined {
  const name = Object.keys(parsed).find((key) => key !== ':@') ?? '#text';
  if (name.startsWith('#') || name.startsWith('?') || name.startsWith('!')) return undefined;
  const content = parsed[name] as Parsed[];
  const attributes = Object.entries((parsed[':@'] ?? {}) as Record<string, string>);
  const children = content.map(toNode).filter((node) => node !== undefined);
  const text = content.map((child) => (typeof child['#text'] === 'string' ? child['#text'] : '')).join('');
  return {
    name,
    attributes: Object.fromEntries(attributes.map(([key, value]) => [key, decodeEntities(value)])),
    text: children.length > 0 ? '' : decodeEntities(text.trim() === '' ? '' : text),
    children,
  };
}

/** Indented as libvirt does. */
export function writeTree({ name, attributes, text, children }: XmlNode, indent = ''): string {
  const head = `${indent}<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}='${escapeXml(value)}'`)
    .join('')}`;
  if (children.length === 0) return text === '' ? `${head}/>` : `${head}>${escapeXml(text)}</${name}>`;
  return [`${head}>`, ...children.map((child) => writeTree(child, `${indent}  `)), `${indent}</${name}>`].join('\n');
}

/** An element to stand alone: with the namespaces that it and what is in it use. */
export function standAlone(node: XmlNode, namespaces: Record<string, string>): XmlNode {
  const used = prefixesIn(node);
  const declared = Object.entries(namespaces).filter(
    ([key]) => used.has(key.slice(namespacePrefix.length)) && node.attributes[key] === undefined,
  );
  return { ...node, attributes: { ...Object.fromEntries(declared), ...node.attributes } };
}

/** Declarations of namespaces at an element, such as `xmlns:qemu`. */
export const namespacesOf = ({ attributes }: XmlNode): Record<string, string> =>
  Object.fromEntries(Object.entries(attributes).filter(([key]) => key.startsWith(namespacePrefix)));

function prefixesIn({ name, children }: XmlNode, found = new Set<string>()): Set<string> {
  const colon = name.indexOf(':');
  if (colon > 0) found.add(name.slice(0, colon));
  for (const child of children) prefixesIn(child, found);
  return found;
}

/** True when both say the same, in whatever order of attributes; where namespaces are declared does not matter. */
export function sameNode(one: XmlNode, other: XmlNode): boolean {
  return (
    one.name === other.name &&
    sameHead(one, other) &&
    one.children.length === other.children.length &&
    one.children.every((child, index) => sameNode(child, other.children[index]!))
  );
}

/** The same without what is in them. */
export function sameHead(one: XmlNode, other: XmlNode): boolean {
  const mine = ownAttributes(one);
  const theirs = ownAttributes(other);
  return (
    one.text === other.text &&
    mine.length === theirs.length &&
    mine.every(([key, value]) => other.attributes[key] === value)
  );
}

const ownAttributes = ({ attributes }: XmlNode) =>
  Object.entries(attributes).filter(([key]) => !key.startsWith(namespacePrefix));
