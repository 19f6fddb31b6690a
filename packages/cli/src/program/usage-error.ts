// What is wrong with a command line, in one sentence, with what was most likely meant.
import { VirgaError } from '@virga/contract/errors';
import { closest } from '../closest.ts';

/** @param helpOf words after `virga` whose --help shows what there is */
export function usageError(detail: string, helpOf: string, meant?: string): VirgaError {
  const help = `virga ${helpOf === '' ? '' : `${helpOf} `}--help shows what there is.`;
  return new VirgaError('InvalidArgument', {
    detail,
    action: meant === undefined ? help : `Did you mean ${meant}? ${help}`,
  });
}

/** The value as one of the choices. @throws InvalidArgument it is none of them */
export function readChoice(what: string, value: string, choices: readonly string[]): string {
  if (choices.includes(value)) return value;
  const near = closest(value, choices);
  throw new VirgaError('InvalidArgument', {
    detail: `${what} cannot be ${JSON.stringify(value)}.`,
    action: `${near === undefined ? '' : `Did you mean ${near}? `}It is one of ${choices.join(', ')}.`,
  });
}

/** The value as a whole number. @throws InvalidArgument it is none, or out of range */
export function readInteger(what: string, value: string, range: { minimum: number; maximum: number }): number {
  const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= range.minimum && number <= range.maximum) return number;
  throw new VirgaError('InvalidArgument', {
    detail: `${what} cannot be ${JSON.stringify(value)}.`,
    action: `Give a whole number from ${range.minimum} to ${range.maximum}.`,
  });
}
