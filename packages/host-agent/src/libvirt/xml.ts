// Writing and reading the XML that libvirt speaks. Owns escaping and layout, not the meaning of any element. Text that
// XML cannot carry is refused; XML that cannot be read is a fault of its writer and throws.
import { XMLParser } from 'fast-xml-parser';

type Attributes = Record<string, string | number | undefined>;
type Child = string | false | undefined;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML 1.0 has no way to write
const unwritable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
  // Else indentation would get into the text, and a reader makes a line end of the one and a blank of the other.
  '\n': '&#10;',
  '\r': '&#13;',
  '\t': '&#9;',
};

/** Text as it stands in an attribute or between tags. @throws RangeError a character that XML cannot carry */
export function escapeXml(text: string): string {
  if (unwritable.test(text) || !text.isWellFormed())
    throw new RangeError('the text has a character that XML cannot carry');
  return text.replace(/[&<>'"\n\r\t]/g, (character) => escapes[character]!);
}

/** An element with child elements, indented. Attributes without a value and children that are false are left out. */
export function element(name: string, attributes: Attributes, ...children: Child[]): string {
  const written = children.filter((child): child is string => typeof child === 'string' && child !== '');
  const head = `<${name}${attributesOf(attributes)}`;
  if (written.length === 0) return `${head}/>`;
  const inner = written.map((child) => `  ${child.replaceAll('\n', '\n  ')}`);
  return `${head}>\n${inner.join('\n')}\n</${name}>`;
}

/** An element that holds text. */
export function textElement(name: string, text: string | number, attributes: Attributes = {}): string {
  return `<${name}${attributesOf(attributes)}>${escapeXml(String(text))}</${name}>`;
}

function attributesOf(attributes: Attributes): string {
  return Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}='${escapeXml(String(value))}'`)
    .join('');
}

/** An element as read: its attributes, its text, and its children by name without prefix, in order. */
export type XmlElement = { attributes: Record<string, string>; text: string; children: Map<string, XmlElement[]> };

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  removeNSPrefix: true,
  // A document type could define entities; libvirt never sends one, so only the built-in ones are decoded, below.
  processEntities: false,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
});

type Parsed = { [name: string]: Parsed[] | string | Record<string, string> };

/** Reads a document and returns its root element. Prefixes of names are dropped. */
export function parseXml(document: string): XmlElement {
  const nodes = parser.parse(document) as Parsed[];
  const root = nodes.find((node) => !nameOf(node).startsWith('?') && nameOf(node) !== '#text');
  if (root === undefined) throw new SyntaxError('the document has no element');
  return toElement(root);
}

/** The first child down a path of names. */
export function childAt(element: XmlElement | undefined, ...path: string[]): XmlElement | undefined {
  return path.reduce<XmlElement | undefined>((parent, name) => parent?.children.get(name)?.[0], element);
}

/** Every child of that name. */
export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  return element?.children.get(name) ?? [];
}

function nameOf(node: Parsed): string {
  return Object.keys(node).find((key) => key !== ':@') ?? '#text';
}

function toElement(node: Parsed): XmlElement {
  const content = node[nameOf(node)] as Parsed[];
  const attributes = (node[':@'] ?? {}) as Record<string, string>;
  const read: XmlElement = {
    attributes: Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, decodeEntities(value)])),
    text: '',
    children: new Map(),
  };
  for (const child of content) {
    const name = nameOf(child);
    if (name === '#text') read.text += decodeEntities(String(child[name]));
    else if (!name.startsWith('#') && !name.startsWith('?')) {
      const siblings = read.children.get(name);
      if (siblings === undefined) read.children.set(name, [toElement(child)]);
      else siblings.push(toElement(child));
    }
  }
  return read;
}

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', apos: "'", quot: '"' };

/** The built-in entities; others stay as they are. */
export function decodeEntities(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(amp|lt|gt|apos|quot));/g,
    (whole, hex, decimal, name) => {
      if (name !== undefined) return named[name]!;
      const point = hex === undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
      return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    },
  );
}
