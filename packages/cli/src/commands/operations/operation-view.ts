// How operations are shown to people.
import type { Operation } from '@virga/contract/rest/operations';
import { formatAge, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export function operationColumns(nowMs: number): Column<Operation>[] {
  return [
    { header: 'ID', value: (item) => item.id, essential: true },
    { header: 'KIND', value: (item) => item.kind, whole: true },
    { header: 'RESOURCE', value: (item) => item.resourceName, essential: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'DONE', value: (item) => `${item.progressPercent} %`, whole: true },
    { header: 'BY', value: (item) => item.requestedBy },
    { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
    { header: 'MESSAGE', value: (item) => item.error?.detail ?? item.message },
  ];
}

export function operationRows(operation: Operation, nowMs: number): [string, string | null][] {
  const at = (time: string | null) => time && `${time} (${formatAge(time, nowMs)} ago)`;
  return [
    ['Id', operation.id],
    ['Kind', operation.kind],
    ['Resource', `${operation.resourceName} (${operation.resourceId})`],
    ['State', operation.state],
    ['Done', `${operation.progressPercent} %`],
    ['Message', operation.message],
    ['Error', operation.error?.detail ?? null],
    ['What to do', operation.error?.action ?? null],
    ['Error code', operation.error?.code ?? null],
    ['Requested by', operation.requestedBy],
    ['Created', at(operation.createdAt)],
    ['Started', at(operation.startedAt)],
    ['Finished', at(operation.finishedAt)],
  ];
}
