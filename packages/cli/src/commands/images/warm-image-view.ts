// How warm images are shown to people.
import type { WarmImage } from '@virga/contract/rest/warm-images';
import { formatAge, formatMib, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export function warmImageColumns(items: readonly WarmImage[], nowMs: number): Column<WarmImage>[] {
  const columns: Column<WarmImage>[] = [
    { header: 'IMAGE', value: (item) => item.imageName, essential: true },
    { header: 'TYPE', value: (item) => item.type, essential: true },
    { header: 'HOST', value: (item) => item.hostName },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'WAITING', value: (item) => `${item.waiting} of ${item.pool}`, whole: true },
    { header: 'MEMORY', value: (item) => formatMib(item.memoryMib), whole: true },
    { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
  ];
  if (items.some((item) => item.stateReason)) {
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  }
  return columns;
}
