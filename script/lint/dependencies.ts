// Each package declares what it imports: a package that works only because of a neighbour's dependency breaks alone.
import { isBuiltin } from 'node:module';
import { type Fault, isTest, packageName, type SourceTree } from './source-tree.ts';

export function findUndeclaredDependencies(tree: SourceTree): Fault[] {
  const root = declared(tree, '', true);
  return tree.modules.flatMap((module) => {
    const folder = /^packages\/[^/]+/.exec(module.path)?.[0];
    const development = isTest(module.path) || !module.path.startsWith(`${folder}/src/`);
    const own = folder === undefined ? root : declared(tree, folder, development);
    return module.imports.flatMap(({ specifier, line, typeOnly }) => {
      if (specifier.startsWith('.') || isBuiltin(specifier)) return [];
      const name = packageName(specifier);
      if (folder === undefined ? isOfWorkspace(tree, name) : name === tree.manifests[folder]?.name) return [];
      if (own.has(name) || (typeOnly && own.has(`@types/${name}`))) return [];
      if (development && (root.has(name) || isOfWorkspace(tree, name))) return [];
      return [{ path: module.path, line, message: `${name} is not in ${folder ?? '.'}/package.json` }];
    });
  });
}

function declared(tree: SourceTree, folder: string, development: boolean): Set<string> {
  const manifest = tree.manifests[folder];
  return new Set([
    ...Object.keys(manifest?.dependencies ?? {}),
    ...Object.keys(manifest?.optionalDependencies ?? {}),
    ...(development ? Object.keys(manifest?.devDependencies ?? {}) : []),
  ]);
}

function isOfWorkspace(tree: SourceTree, name: string): boolean {
  return Object.values(tree.manifests).some((manifest) => manifest.name === name);
}
