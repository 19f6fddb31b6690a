// Whether what an agent was given, or answered, has the shape that the contract says. Checks shapes, not sense.
import type { Static, TSchema } from 'typebox';
import { Check } from 'typebox/value';

export function conforms<T extends TSchema>(schema: T, value: unknown): value is Static<T> {
  return Check(schema, value);
}
