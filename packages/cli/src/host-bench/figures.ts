// Figures of a benchmark as people read them. Three digits: more would claim what was not measured.
import type { Ratio, Spread } from '@virga/contract/rest/host-bench';

/** Such as `1,340`, `13.4` or `0.0134`. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const whole = Math.floor(Math.log10(Math.abs(value))) + 1;
  const rounded = Number(value.toPrecision(3));
  const digits = Math.max(0, 3 - whole);
  return rounded.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ',');
}

export const range = (low: number, high: number): string =>
  figure(low) === figure(high) ? figure(low) : `${figure(low)} to ${figure(high)}`;

export const middleHalf = ({ lowerQuartile, upperQuartile }: Spread): string => range(lowerQuartile, upperQuartile);

/** Such as `+37 %` or `-4.2 %`. */
export function gain(ratio: number): string {
  const percent = (ratio - 1) * 100;
  const text = Math.abs(percent) < 10 ? percent.toFixed(1) : figure(percent);
  return `${/^-?0\.0$/.test(text) ? '0.0' : percent > 0 ? `+${text}` : text} %`;
}

export const gainRange = ({ low, high }: Ratio): string => `${gain(low)} to ${gain(high)}`;
