// The command `virga` on the PATH: a link to bin/virga of this checkout. A file of that name that is no link of ours stays.
import { lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { checkoutPath } from '../machine/checkout.ts';
import type { Phase } from './phase.ts';

export const linkPath = '/usr/local/bin/virga';

export function pathPhase(): Phase {
  return {
    title: 'virga on the PATH',
    check: async () => {
      const target = checkoutPath('bin/virga');
      return linkState() === 'foreign' || linkTarget() === target ? [] : [`link ${linkPath} to ${target}`];
    },
    change: async () => {
      mkdirSync(dirname(linkPath), { recursive: true });
      rmSync(linkPath, { force: true });
      symlinkSync(checkoutPath('bin/virga'), linkPath);
    },
  };
}

/** What people type: `virga`, or the whole path where the PATH has another one. */
export function commandName(): string {
  return linkTarget() === checkoutPath('bin/virga') ? 'virga' : checkoutPath('bin/virga');
}

/** Takes the link away when it is to this checkout. */
export function unlinkPhase(): Phase {
  const ours = () => linkTarget() === checkoutPath('bin/virga');
  return {
    title: 'virga on the PATH',
    check: async () => (ours() ? [`remove ${linkPath}`] : []),
    change: async () => rmSync(linkPath, { force: true }),
  };
}

/** `ours`: a link to a bin/virga, of this checkout or another. */
function linkState(): 'absent' | 'ours' | 'foreign' {
  const found = lstatSync(linkPath, { throwIfNoEntry: false });
  if (!found) return 'absent';
  return linkTarget()?.endsWith('/bin/virga') ? 'ours' : 'foreign';
}

function linkTarget(): string | undefined {
  return lstatSync(linkPath, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(linkPath) : undefined;
}
