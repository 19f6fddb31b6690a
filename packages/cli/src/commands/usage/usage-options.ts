// The time that a command about usage looks at.
import { VirgaError } from '@virga/contract/errors';

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;

export const sinceOption = {
  type: 'text',
  value: 'TIME',
  default: '1h',
  summary: 'how far back, such as 30m, 6h, 2d or 4w',
} as const;

/** @throws InvalidArgument */
export function windowSince(since: string, nowMs: number): { from: string; to: string } {
  const [, count, unit] = /^(\d{1,4})([mhdw])$/.exec(since) ?? [];
  const ms = Number(count) * unitMs[unit as keyof typeof unitMs];
  if (ms > 0) return { from: new Date(nowMs - ms).toISOString(), to: new Date(nowMs).toISOString() };
  throw new VirgaError('InvalidArgument', {
    detail: `--since cannot be ${JSON.stringify(since)}.`,
    action: 'Say how far back, such as 30m, 6h, 2d or 4w.',
  });
}
