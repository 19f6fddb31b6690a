// What can be said of any pool, as options.
import { VirgaError } from '@virga/contract/errors';
import type { UpdatePool } from '@virga/contract/rest/pools';

const noLimit = 'none';

export const poolOptions = {
  overcommit: {
    type: 'text',
    value: 'RATIO',
    summary: `how many times its size may be promised, such as 2; ${noLimit}: no limit, the default`,
  },
  lowSpace: {
    type: 'integer',
    value: 'PERCENT',
    summary: 'free space below which an alarm is raised; 0: never; default 10',
    minimum: 0,
    maximum: 99,
  },
  default: { type: 'flag', summary: 'volumes go there when nothing else is said' },
} as const;

type Given = { overcommit?: string | undefined; lowSpace?: number | undefined; default: boolean };

/** @throws InvalidArgument */
export function readPoolOptions({ overcommit, lowSpace, default: isDefault }: Given): {
  overcommit?: number;
  lowSpacePercent?: number;
  isDefault?: boolean;
} {
  return {
    ...(overcommit !== undefined && overcommit !== noLimit && { overcommit: ratio(overcommit) }),
    ...(lowSpace !== undefined && { lowSpacePercent: lowSpace }),
    ...(isDefault && { isDefault }),
  };
}

/** The same for a pool that is there, whose limit can be taken away. @throws InvalidArgument */
export function readPoolChange(given: Given): UpdatePool {
  return { ...readPoolOptions(given), ...(given.overcommit === noLimit && { overcommit: null }) };
}

function ratio(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value;
  throw new VirgaError('InvalidArgument', {
    detail: `--overcommit cannot be ${JSON.stringify(text)}.`,
    action: `Give a number, such as 2 or 1.5, or ${noLimit}.`,
  });
}
