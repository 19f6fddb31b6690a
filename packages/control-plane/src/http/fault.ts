// Puts what a schema found wrong into a sentence that a person understands.
import { idPrefix } from '@virga/contract/ids';
import type { TLocalizedValidationError } from 'typebox/error';

/** The parts of JSON Schema that sentences are made from. */
export type SchemaNode = {
  type?: string;
  description?: string;
  pattern?: string;
  properties?: Record<string, SchemaNode>;
  items?: SchemaNode;
  anyOf?: (SchemaNode & { const?: unknown })[];
  enum?: unknown[];
};

export type Fault = { detail: string; action: string; field: string };

/** The first fault of a value: what is unknown before what is missing, and that before what is wrong. */
export function faultOf(schema: SchemaNode, errors: TLocalizedValidationError[]): Fault {
  const error =
    errors.find(({ keyword }) => keyword === 'additionalProperties') ??
    errors.find(({ keyword }) => keyword === 'required') ??
    errors[0]!;
  const at = error.instancePath;
  if (error.keyword === 'additionalProperties') {
    const name = error.params.additionalProperties[0] ?? '';
    const known = Object.keys(nodeAt(schema, at)?.properties ?? {});
    return fault(`${at}/${name}`, 'is not known', `Leave it out; the fields are ${known.join(', ')}.`);
  }
  if (error.keyword === 'required') {
    const field = `${at}/${error.params.requiredProperties[0] ?? ''}`;
    return fault(field, 'is missing', wanted(nodeAt(schema, field)));
  }
  const node = nodeAt(schema, at);
  return fault(at, problemOf(error, node), wanted(node));
}

function fault(field: string, problem: string, action: string): Fault {
  const name = field.slice(1).replaceAll('/', '.');
  return { detail: name === '' ? `The body ${problem}.` : `The field ${name} ${problem}.`, action, field };
}

function problemOf(error: TLocalizedValidationError, node: SchemaNode | undefined): string {
  if (choices(node).length > 0) return `must be one of ${choices(node).join(', ')}`;
  switch (error.keyword) {
    case 'type':
      return `must be ${withArticle(String(error.params.type))}`;
    case 'minLength':
    case 'minItems':
      return `is too short: at least ${count(error.keyword, error.params.limit)}`;
    case 'maxLength':
    case 'maxItems':
      return `is too long: at most ${count(error.keyword, error.params.limit)}`;
    case 'minimum':
      return `must be at least ${error.params.limit}`;
    case 'maximum':
      return `must be at most ${error.params.limit}`;
    case 'uniqueItems':
      return 'names something twice';
    case 'format':
      return 'must be a time such as 2030-01-31T12:00:00Z';
    default:
      return 'has a value that cannot be used';
  }
}

/** What to do: the description of the field in the contract says it best. */
function wanted(node: SchemaNode | undefined): string {
  const prefix = Object.values(idPrefix).find((known) => node?.pattern?.startsWith(`^${known}-[`));
  if (prefix) return `Give an id such as ${prefix}-0123456789abcdef0.`;
  return node?.description ? `It wants: ${node.description}.` : 'See the API reference for what it wants.';
}

function nodeAt(schema: SchemaNode, pointer: string): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema;
  for (const step of pointer.split('/').slice(1)) node = node?.properties?.[step] ?? node?.items;
  return node;
}

function choices(node: SchemaNode | undefined): unknown[] {
  if (node?.enum) return node.enum;
  const alternatives = (node?.anyOf ?? []).map((one) => one.const);
  return alternatives.every((one) => one !== undefined) ? alternatives : [];
}

const withArticle = (type: string) => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);
const count = (keyword: string, limit: unknown) => `${limit} ${keyword.endsWith('Items') ? 'items' : 'characters'}`;
