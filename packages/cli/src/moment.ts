// A time that a person gives: when it is, or how long from now.
import { VirgaError } from '@virga/contract/errors';

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;
const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;
/** A lease of a hundred years is a mistake. */
const longestMs = 36_500 * unitMs.d;

/**
 * @param text such as `90m`, `8h`, `2d`, `1w`, or `2030-01-31T18:00Z`
 * @returns UTC, ISO 8601
 * @throws InvalidArgument it is neither; `option` is what it was given for
 */
export function readMoment(option: string, text: string, nowMs: number): string {
  const [, count, unit] = /^(\d{1,9})([mhdw])$/.exec(text) ?? [];
  if (count && unit) {
    const ms = Number(count) * unitMs[unit as keyof typeof unitMs];
    if (ms > 0 && ms <= longestMs) return new Date(nowMs + ms).toISOString();
  }
  const atMs = zoned.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(atMs)) return new Date(atMs).toISOString();
  throw new VirgaError('InvalidArgument', {
    detail: `${option} cannot be ${JSON.stringify(text)}.`,
    action: 'Give a time with its zone, such as 2030-01-31T18:00Z, or one from now, such as 90m, 8h, 2d or 1w.',
  });
}

/** How long until then, in the largest whole unit: `5m`, `3h`, `12d`; `now` when it has come. */
export function formatUntil(time: string, nowMs: number): string {
  const minutes = Math.ceil((Date.parse(time) - nowMs) / unitMs.m);
  if (minutes <= 0) return 'now';
  if (minutes < 120) return `${minutes}m`;
  if (minutes < 2 * 24 * 60) return `${Math.round(minutes / 60)}h`;
  return `${Math.round(minutes / 60 / 24)}d`;
}
