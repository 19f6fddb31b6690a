// How images are shown to people.
import type { Image } from '@virga/contract/rest/images';
import { formatAge, formatBytes, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export function imageColumns(items: readonly Image[], nowMs: number): Column<Image>[] {
  const columns: Column<Image>[] = [
    { header: 'NAME', value: (item) => item.name, essential: true },
    { header: 'ID', value: (item) => item.id, essential: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'DISK', value: (item) => formatBytes(item.virtualSizeBytes), whole: true },
    { header: 'FILE', value: (item) => formatBytes(item.fileSizeBytes), whole: true },
    { header: 'KIND', value: (item) => item.kind, whole: true },
    { header: 'FORMAT', value: (item) => item.format ?? '-' },
    { header: 'LOGIN', value: (item) => item.defaultUser },
    { header: 'VISIBLE', value: (item) => item.visibility },
    { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
  ];
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function imageRows(image: Image, nowMs: number): [string, string | null][] {
  return [
    ['Name', image.name],
    ['Id', image.id],
    ['State', image.state],
    ['Reason', image.stateReason],
    ['Kind', image.kind],
    ['Format', image.format],
    ['Disk', formatBytes(image.virtualSizeBytes)],
    ['File', formatBytes(image.fileSizeBytes)],
    ['SHA-256', image.sha256],
    ...originRows(image),
    ['Login user', image.defaultUser],
    ['Memory', `at least ${image.minimumMemoryMib} MiB`],
    ['Guests', image.warmable ? 'can be copied while they run' : null],
    ['Visibility', image.visibility],
    ['Project', image.projectId],
    ['Created', `${image.createdAt} (${formatAge(image.createdAt, nowMs)} ago)`],
  ];
}

function originRows({ origin }: Image): [string, string | null][] {
  if (origin === null) return [];
  const { url, verification } = origin;
  const signed = {
    good: `signed by ${verification?.signedBy}`,
    'no-key': 'signed, but the key is not here',
    none: 'not signed',
  };
  return [
    ['From', url ?? 'sent by a user'],
    ['Came as', verification && `${verification.format}, ${formatBytes(verification.sizeBytes)}`],
    ['Its SHA-256', verification?.sha256 ?? null],
    ['Checksum', verification && (verification.checksum === 'matched' ? 'matched' : 'there was none to compare with')],
    ['Signature', verification && signed[verification.signature]],
  ];
}
