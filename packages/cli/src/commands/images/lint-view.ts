// What was found inside of a disk, as people read it: a table, and why it matters what is not well.
import type { LintFinding, LintReport, LintVerdict } from '@virga/contract/agent/image-building';
import { type Column, renderTable } from '../../output/table.ts';
import type { Style, Terminal } from '../../output/terminal.ts';

const styles: Record<LintVerdict, Style> = { ok: 'green', advice: 'cyan', warning: 'yellow', failure: 'red' };
const gravity: Record<LintVerdict, number> = { failure: 0, warning: 1, advice: 2, ok: 3 };

const columns: Column<LintFinding>[] = [
  { header: 'VERDICT', value: ({ verdict }) => verdict, whole: true, style: ({ verdict }) => styles[verdict] },
  { header: 'CHECK', value: ({ id }) => id, essential: true, whole: true },
  { header: 'SEEN', value: ({ seen }) => seen },
];

export function lintLines({ system, fileSystem, findings }: LintReport, terminal: Terminal): string[] {
  const troubles = findings.filter(({ verdict }) => verdict !== 'ok');
  const sorted = troubles.toSorted((one, other) => gravity[one.verdict] - gravity[other.verdict]);
  return [
    ...(fileSystem === null ? [] : [`${system ?? 'A system without a name'}, on ${fileSystem}.`, '']),
    ...(findings.length > 0 ? [renderTable(findings, columns, terminal), ''] : []),
    ...sorted.flatMap(({ id, why, repair }) => [`${id}: ${why}`, ...(repair === null ? [] : [`  Sealing: ${repair}`])]),
    ...(sorted.length > 0 ? [''] : []),
    summary(findings),
  ];
}

function summary(findings: readonly LintFinding[]): string {
  const words = (['failure', 'warning', 'advice'] as const).flatMap((verdict) => {
    const count = findings.filter((finding) => finding.verdict === verdict).length;
    const noun = verdict === 'advice' ? 'pieces of advice' : `${verdict}s`;
    return count === 0 ? [] : [`${count} ${count === 1 ? (verdict === 'advice' ? 'piece of advice' : verdict) : noun}`];
  });
  const repairable = findings.filter(({ repair }) => repair !== null).length;
  if (words.length === 0) return findings.length === 0 ? 'Nothing was checked.' : 'Every check is well.';
  return `${words.join(', ')}; sealing does something about ${repairable}.`;
}
