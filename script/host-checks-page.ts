// The reference page of the checks of hosts, from their table.
import { hostCheckThemes } from '@virga/host-agent/host-checks/host-check-table';

export function hostChecksPage(generated: string): string {
  const themes = Object.entries(hostCheckThemes).flatMap(([theme, checks]) => [
    `## ${theme}`,
    '',
    '| check | looks at | why it matters | repairs |',
    '| --- | --- | --- | --- |',
    ...checks.map(({ name, title, why, repairs }) => `| \`${name}\` | ${title} | ${why} | ${repairs ?? ''} |`),
    '',
  ]);
  return [
    generated,
    '# Checks of hosts',
    '',
    'What `virga hosts check` looks at, see [Is the host well?](../operate/host-check.md) Each can be named with `--only`.',
    '',
    ...themes,
  ].join('\n');
}
