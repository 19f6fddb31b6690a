// Checks the tree against the rules that no compiler knows. Prints one line a fault; ends with 1 when there is one.
import { join } from 'node:path';
import { findForbiddenArrows } from './arrows.ts';
import { findCycles } from './cycles.ts';
import { findUndeclaredDependencies } from './dependencies.ts';
import { findBadNames, findBarrels, findLongFiles } from './names-and-sizes.ts';
import { findBrokenPromises } from './promises.ts';
import { type Fault, readSourceTree, type SourceTree } from './source-tree.ts';

const rules: readonly ((tree: SourceTree) => Fault[])[] = [
  findForbiddenArrows,
  findCycles,
  findUndeclaredDependencies,
  findBadNames,
  findLongFiles,
  findBarrels,
  findBrokenPromises,
];

/** Every fault of the tree at `root`, as a line to read. */
export function lintTree(root: string): string[] {
  const tree = readSourceTree(root);
  return rules.flatMap((rule) =>
    rule(tree).map(({ path, line, message }) => `${path}${line === undefined ? '' : `:${line}`}: ${message}`),
  );
}

if (import.meta.main) {
  const faults = lintTree(join(import.meta.dirname, '../..'));
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length > 0 ? 1 : 0;
}
