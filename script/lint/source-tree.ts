// The tree as the rules see it: tracked and new files, with the imports and length of each TypeScript module. Everything
// else in this folder is a pure function of it.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export type Import = {
  /** As written, such as `./errors.ts` or `@virga/contract/errors`. */
  specifier: string;
  line: number;
  /** Erased before the program runs. */
  typeOnly: boolean;
};

export type Module = { path: string; text: string; lineCount: number; imports: Import[] };

export type Manifest = {
  name?: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
};

/** Paths are from the root of the repository, with `/`. */
export type SourceTree = {
  /** Every file that belongs to the repository. */
  files: string[];
  modules: Module[];
  /** By the folder of the `package.json`: `packages/cli`, and `` for the root. */
  manifests: Record<string, Manifest>;
  /** Text of a file, or undefined when there is none. */
  read(path: string): string | undefined;
};

/** One fault: where, and what to do. */
export type Fault = { path: string; line?: number; message: string };

/** Reads the tree that git knows at `root`: what is tracked, and what is new and not ignored. */
export function readSourceTree(root: string): SourceTree {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  const files = listed
    .toString()
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .sort();
  const read = (path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined);
  const manifests: Record<string, Manifest> = {};
  for (const path of files.filter((file) => /(^|\/)package\.json$/.test(file))) {
    manifests[dirname(path) === '.' ? '' : dirname(path)] = JSON.parse(read(path) ?? '{}');
  }
  const modules = files.filter(isModule).map((path) => parseModule(path, read(path) ?? ''));
  return { files, modules, manifests, read };
}

function isModule(path: string): boolean {
  return /\.(ts|tsx|mts)$/.test(path) && !path.endsWith('.d.ts');
}

/** Finds what a module imports: `import`, `export … from` and `import()` with a literal. */
export function parseModule(path: string, text: string): Module {
  const code = withoutComments(text);
  const imports: Import[] = [];
  const add = (pattern: RegExp) => {
    for (const match of code.matchAll(pattern)) {
      imports.push({
        specifier: match.groups?.specifier ?? '',
        line: code.slice(0, (match.index ?? 0) + match[0].length).split('\n').length,
        typeOnly: match.groups?.type !== undefined,
      });
    }
  };
  add(/^[ \t]*(?:import|export)\s+(?<type>type\s)?[^'"`;()]*?\sfrom\s+(['"])(?<specifier>[^'"]+)\2/gm);
  add(/^[ \t]*import\s+(['"])(?<specifier>[^'"]+)\1/gm);
  add(/\bimport\(\s*(['"])(?<specifier>[^'"]+)\1\s*\)/g);
  return { path, text, lineCount: text.split('\n').length - (text.endsWith('\n') ? 1 : 0), imports };
}

/** Blanks comments, keeping lines. Good enough for imports: it knows no strings, and imports come before them. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/^[ \t]*\/\/.*$/gm, '');
}

/**
 * The file of this repository that an import means, or undefined for a package from elsewhere.
 * @param packages folder by package name, such as `@virga/contract` to `packages/contract`
 */
export function resolveImport(
  from: string,
  specifier: string,
  packages: ReadonlyMap<string, string>,
): string | undefined {
  if (specifier.startsWith('.')) return normalize(join(dirname(from), specifier));
  const name = packageName(specifier);
  const folder = packages.get(name);
  if (folder === undefined || specifier === name) return folder;
  return `${folder}/src/${specifier.slice(name.length + 1)}.ts`;
}

/** `@scope/name` or `name` of a specifier such as `@scope/name/sub/path`. */
export function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Folder by name of every package of the workspace. */
export function workspacePackages(tree: SourceTree): Map<string, string> {
  return new Map(
    Object.entries(tree.manifests).flatMap(([folder, manifest]) =>
      folder.startsWith('packages/') && manifest.name ? [[manifest.name, folder] as const] : [],
    ),
  );
}

export const isTest = (path: string) => /\.test\.tsx?$/.test(path);
