// Import cycles. One that only types go round is one too: it says that two files are one thought cut in two.
import { type Fault, resolveImport, type SourceTree, workspacePackages } from './source-tree.ts';

/** Every cycle once, as a fault at its first file. */
export function findCycles(tree: SourceTree): Fault[] {
  const packages = workspacePackages(tree);
  const known = new Set(tree.modules.map((module) => module.path));
  const graph = new Map<string, string[]>();
  for (const module of tree.modules) {
    const targets = module.imports.map((one) => resolveImport(module.path, one.specifier, packages));
    graph.set(module.path, [
      ...new Set(targets.filter((path): path is string => path !== undefined && known.has(path))),
    ]);
  }
  return components(graph)
    .filter((members) => members.length > 1 || graph.get(members[0] ?? '')?.includes(members[0] ?? ''))
    .map((members) => {
      const [first = '', ...others] = members.sort();
      return { path: first, message: `imports itself by way of ${others.join(', ') || 'itself'}; break the cycle` };
    });
}

/** Strongly connected components, by Tarjan's algorithm. */
function components(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];

  const visit = (node: string): void => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) {
        visit(next);
        low.set(node, Math.min(low.get(node)!, low.get(next)!));
      } else if (stack.includes(next)) {
        low.set(node, Math.min(low.get(node)!, index.get(next)!));
      }
    }
    if (low.get(node) !== index.get(node)) return;
    found.push(stack.splice(stack.indexOf(node)));
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return found;
}
