// Looks into a disk by every rule, and repairs what the rules can repair. Owns the order. Changes nothing but by `seal`. A
// disk that cannot be looked into is a finding, not an error.
import type { LintFinding, LintReport } from '@virga/contract/agent/image-building';
import type { OpenContents, Unreadable } from '../disk-contents/open-contents.ts';
import { accessRules } from './access-rules.ts';
import { bootRules } from './boot-rules.ts';
import { GuestFiles } from './guest-files.ts';
import { identityRules } from './identity-rules.ts';
import { networkRules } from './network-rules.ts';
import type { Look, Rule } from './rule.ts';
import { softwareRules } from './software-rules.ts';
import { tracesRules } from './traces-rules.ts';

export const lintRules: readonly Rule[] = [
  ...identityRules,
  ...accessRules,
  ...tracesRules,
  ...networkRules,
  ...bootRules,
  ...softwareRules,
];

export async function lint(opened: OpenContents | Unreadable): Promise<LintReport> {
  if ('why' in opened) return unreadable(opened);
  const guest = new GuestFiles(opened);
  const findings: LintFinding[] = [await cleanliness(opened)];
  for (const rule of lintRules) findings.push(findingOf(rule, await rule.look(guest)));
  return { system: await systemOf(guest), fileSystem: opened.root.fileSystem, findings };
}

/** Does what the rules can do. @returns a sentence for each thing that was done */
export async function seal(opened: OpenContents): Promise<string[]> {
  const done: string[] = [];
  // What was not written back comes first: it may be what a rule looks at.
  await opened.root.recover();
  const guest = new GuestFiles(opened);
  for (const rule of lintRules) {
    const { repair } = await rule.look(guest);
    if (repair) done.push(await repair.act());
  }
  await opened.root.settle();
  return done;
}

const findingOf = ({ id, title, why }: Rule, { verdict, seen, repair }: Look): LintFinding => ({
  ...{ id, title, verdict, seen, why },
  repair: repair?.says ?? null,
});

async function cleanliness({ root }: OpenContents): Promise<LintFinding> {
  const isDirty = await root.needsRecovery();
  return {
    id: 'clean-file-system',
    title: 'clean file system',
    verdict: isDirty ? 'advice' : 'ok',
    seen: `The ${root.fileSystem} of the root was ${isDirty ? 'not unmounted: the last changes are in its journal' : 'unmounted'}.`,
    why: 'What is only in the journal is not looked at here, and was perhaps half done.',
    repair: isDirty ? 'Brings in what the journal has.' : null,
  };
}

async function systemOf(guest: GuestFiles): Promise<string | null> {
  const text = await guest.text('/etc/os-release');
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text ?? '')?.[1] ?? null;
}

const unreadable = ({ why }: Unreadable): LintReport => ({
  system: null,
  fileSystem: null,
  findings: [
    {
      id: 'readable',
      title: 'contents',
      verdict: 'failure',
      seen: `${why[0]?.toUpperCase()}${why.slice(1)}.`,
      why: 'Nothing of it can be checked or sealed here.',
      repair: null,
    },
  ],
});
