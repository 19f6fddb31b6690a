// Checks of hosts as people read them: a table, what can be done about what is not well, and the changes of a repair.
import type { HostChange } from '@virga/contract/agent/host-changes';
import type { CheckVerdict, HostCheckResult } from '@virga/contract/agent/host-checks';
import { type Column, renderTable } from '../../output/table.ts';
import type { Style, Terminal } from '../../output/terminal.ts';

export type CheckedHost = {
  host: string;
  checks: HostCheckResult[];
  /** What was changed just now; null when nothing was to be. */
  changes: HostChange[] | null;
};

const styles: Record<CheckVerdict, Style> = {
  ok: 'green',
  'not-applicable': 'dim',
  advice: 'cyan',
  warning: 'yellow',
  failure: 'red',
};

export const isWell = ({ verdict }: HostCheckResult): boolean => verdict === 'ok' || verdict === 'not-applicable';

/** @param open the checks of one host in full, else a line for each host and what is not well */
export function checkLines(hosts: readonly CheckedHost[], terminal: Terminal, open: boolean): string[] {
  const rows = hosts.flatMap(({ host, checks }) => checks.map((check) => ({ host, ...check })));
  const troubles = rows.filter((row) => !isWell(row));
  const shown = open ? rows : troubles;
  const hostColumn: Column<Row>[] =
    hosts.length > 1 ? [{ header: 'HOST', value: (row) => row.host, essential: true }] : [];
  return [
    ...changeLines(hosts),
    ...(hosts.length > 1 ? [renderTable(hosts, summaryColumns, terminal), ''] : []),
    ...(shown.length > 0 ? [renderTable(shown, [...hostColumn, ...columns], terminal), ''] : []),
    ...troubles.toSorted(worstFirst).flatMap((row) => adviceLines(row, hosts.length > 1, terminal)),
    summary(rows),
  ];
}

type Row = HostCheckResult & { host: string };

const gravity: Record<CheckVerdict, number> = { failure: 0, warning: 1, advice: 2, ok: 3, 'not-applicable': 3 };
const worstFirst = (one: Row, other: Row): number => gravity[one.verdict] - gravity[other.verdict];

const columns: Column<Row>[] = [
  { header: 'VERDICT', value: verdictText, whole: true, style: ({ verdict }) => styles[verdict] },
  { header: 'CHECK', value: ({ name }) => name, essential: true, whole: true },
  { header: 'SEEN', value: ({ seen }) => seen },
];

function verdictText({ verdict, repaired, repair }: HostCheckResult): string {
  const word = verdict === 'not-applicable' ? '-' : verdict;
  if (!repaired) return word;
  // Such as by a restart of a host that does not read our files.
  return repair.length > 0 ? `${word} (reset since)` : `${word} (repaired)`;
}

const count = (checks: readonly HostCheckResult[], verdict: CheckVerdict): number =>
  checks.filter((check) => check.verdict === verdict).length;

const countColumn = (verdict: CheckVerdict, header: string): Column<CheckedHost> => ({
  header,
  value: ({ checks }) => String(count(checks, verdict)),
  whole: true,
  style: ({ checks }) => (count(checks, verdict) > 0 ? styles[verdict] : undefined),
});

const summaryColumns: Column<CheckedHost>[] = [
  { header: 'HOST', value: ({ host }) => host, essential: true },
  countColumn('ok', 'OK'),
  countColumn('advice', 'ADVICE'),
  countColumn('warning', 'WARNINGS'),
  countColumn('failure', 'FAILURES'),
];

/** Why it matters, and what to do, or which command does it. */
function adviceLines(row: Row, named: boolean, terminal: Terminal): string[] {
  const { name, host, why, todo, repair } = row;
  const title = terminal.paint(styles[row.verdict], named ? `${host}: ${name}` : name);
  const command = `virga hosts check${named ? ` ${host}` : ''} --fix --only ${name}`;
  return [
    `${title}  ${why}`,
    ...(repair.length > 0 ? [`  repair: ${command}`] : []),
    ...(todo === null ? [] : [`  to do:  ${todo}`]),
    '',
  ];
}

/** Such as `40 checks: 30 ok, 2 warnings, 1 failure.` */
export function summary(checks: readonly HostCheckResult[]): string {
  const parts = [
    `${count(checks, 'ok')} ok`,
    ...counted(count(checks, 'advice'), 'advice', 'advice'),
    ...counted(count(checks, 'warning'), 'warning', 'warnings'),
    ...counted(count(checks, 'failure'), 'failure', 'failures'),
  ];
  const looked = checks.filter(({ verdict }) => verdict !== 'not-applicable').length;
  return `${looked} ${looked === 1 ? 'check' : 'checks'}: ${parts.join(', ')}.`;
}

const counted = (number: number, one: string, many: string): string[] =>
  number === 0 ? [] : [`${number} ${number === 1 ? one : many}`];

function changeLines(hosts: readonly CheckedHost[]): string[] {
  const changed = hosts.filter(({ changes }) => changes !== null && changes.length > 0);
  return changed.flatMap(({ host, changes }) => [`Changed on ${host}:`, ...changes!.flatMap(changeText), '']);
}

/** A change as a difference, and why. */
export function changeText({ path, now, after, why }: HostChange): string[] {
  const lines = (mark: string, text: string | null) =>
    (text ?? '(nothing)').split('\n').map((line) => `    ${mark} ${line}`);
  return [`  ${path}  ${why}`, ...lines('-', now), ...lines('+', after)];
}
