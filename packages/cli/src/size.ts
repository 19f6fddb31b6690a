// Sizes of memory and disks as a person gives them: a number with its unit, or without one in that of the option.
import { VirgaError } from '@virga/contract/errors';

const bytesOf = { m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 } as const;

/**
 * @param text such as `512`, `512MiB`, `1.5GiB`, `2g`; M, G and T are powers of 1024 with or without iB
 * @returns a whole number of `unit`
 * @throws InvalidArgument it is something else; `option` is what it was given for
 */
export function readSize(option: string, text: string, unit: 'MiB' | 'GiB'): number {
  const [, number, named] = /^(\d{1,9}(?:\.\d{1,3})?)\s*([mgt])?(?:i?b)?$/i.exec(text) ?? [];
  const bytesPerUnit = unit === 'MiB' ? bytesOf.m : bytesOf.g;
  const factor = named ? bytesOf[named.toLowerCase() as keyof typeof bytesOf] : bytesPerUnit;
  const size = (Number(number) * factor) / bytesPerUnit;
  if (number !== undefined && Number.isInteger(size) && size > 0) return size;
  throw new VirgaError('InvalidArgument', {
    detail: `${option} cannot be ${JSON.stringify(text)}.`,
    action: `Give a whole number of ${unit}, such as ${unit === 'MiB' ? '512MiB or 2GiB' : '20GiB or 1TiB'}.`,
  });
}
