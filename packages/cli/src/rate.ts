// Bytes and bytes a second as a person gives them: a number, alone or with a unit.
import { VirgaError } from '@virga/contract/errors';

const powers = { '': 0, k: 1, m: 2, g: 3 } as const;

/**
 * @param text such as `1000000`, `500k`, `10M`, `10MB`, `1.5MiB`; k, M and G are powers of 1000, with i of 1024
 * @returns whole bytes
 * @throws InvalidArgument it is something else; `option` is what it was given for
 */
export function readRate(option: string, text: string): number {
  const [, number, unit = '', binary] = /^(\d{1,12}(?:\.\d{1,3})?)\s*([kmg])?(i)?b?(?:\/s)?$/i.exec(text) ?? [];
  const power = powers[unit.toLowerCase() as keyof typeof powers];
  const bytes = Math.round(Number(number) * (binary ? 1024 : 1000) ** power);
  if (number !== undefined && !(binary && unit === '') && bytes > 0) return bytes;
  throw new VirgaError('InvalidArgument', {
    detail: `${option} cannot be ${JSON.stringify(text)}.`,
    action: 'Give bytes a second, such as 500k, 10M or 10MiB.',
  });
}
