// Checks the parameters, query and body of a request against the schemas of its route. The first fault is told in one
// sentence with a JSON pointer; nothing is guessed, dropped or repaired.
import { VirgaError } from '@virga/contract/errors';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Default } from 'typebox/value';
import { faultOf, type SchemaNode } from './fault.ts';

export type Check = (value: unknown) => unknown;

/** A check of a JSON body. Compiled when it is first used. */
export function bodyCheck(schema: TSchema | undefined): Check {
  if (!schema) return refuseBody;
  const check = compiled(schema);
  return (body) => check(body ?? {});
}

/** A check of path or query parameters, which come as text. Unknown ones are refused. */
export function textCheck(schema: TSchema | undefined): Check {
  const properties = (schema as SchemaNode | undefined)?.properties ?? {};
  const check = schema ? compiled(schema) : undefined;
  return (values) => {
    const read: Record<string, unknown> = {};
    for (const [name, text] of Object.entries(values as Record<string, unknown>)) {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (!property) throw unknownParameter(name, Object.keys(properties));
      const values = property.type === 'array' && typeof text === 'string' ? [text] : text;
      read[name] = typeof values === 'string' ? readText(property, values) : values;
    }
    return check ? check(read) : read;
  };
}

function compiled(schema: TSchema): Check {
  let validator: ReturnType<typeof Compile> | undefined;
  return (value) => {
    refuseNul(value, '');
    validator ??= Compile(schema);
    const complete = Default(schema, structuredClone(value));
    if (validator.Check(complete)) return complete;
    throw invalid(faultOf(schema as SchemaNode, validator.Errors(complete)));
  };
}

function readText({ type }: SchemaNode, text: string): unknown {
  if (type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function refuseBody(body: unknown): undefined {
  const empty = body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0);
  if (empty) return undefined;
  throw invalid({ detail: 'This request takes no body.', action: 'Send it without one.' });
}

function unknownParameter(name: string, known: string[]): VirgaError {
  return invalid({
    detail: `The parameter ${JSON.stringify(name)} is not known.`,
    action: known.length === 0 ? 'Send the request without parameters.' : `Use some of: ${known.join(', ')}.`,
    field: `/${name}`,
  });
}

/** PostgreSQL cannot store the character, and no field of ours wants it. */
function refuseNul(value: unknown, field: string): void {
  if (typeof value === 'string') {
    if (!value.includes('\0')) return;
    throw invalid({
      detail: `The field ${field.slice(1) || 'body'} has a NUL character.`,
      action: 'Send text without it.',
      field,
    });
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) refuseNul(inner, `${field}/${name}`);
}

function invalid(fault: { detail: string; action: string; field?: string | undefined }): VirgaError {
  return new VirgaError('InvalidArgument', fault);
}
