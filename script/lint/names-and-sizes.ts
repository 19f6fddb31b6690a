// What files and folders may be called, how long a file may be, and that none only passes on what others export.
import type { Fault, Module, SourceTree } from './source-tree.ts';

const forbiddenNames = ['utils', 'util', 'helpers', 'helper', 'common', 'manager', 'misc', 'lib'];
const maxLines = 500;
/** Not written by hand, or data: read by nobody from top to bottom. */
const isUnbounded = (path: string) =>
  /(^|\/)(generated|golden|fixtures)\/|\.generated\.ts$|(^|\/)package-lock\.json$|(^|\/)LICENSE$/.test(path);
const bounded = /\.(ts|tsx|sh|css)$|^script\/|^bin\/|^images\/[^/]+\/[^.]+$/;
const kebabCase = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

export function findBadNames(tree: SourceTree): Fault[] {
  return tree.files.flatMap((path) => {
    const segments = path.split('/');
    const bad = segments.find((segment) => forbiddenNames.includes(segment.split('.')[0] ?? ''));
    if (bad) return [{ path, message: `nothing is called ${bad}: name it after what it is for` }];
    const file = segments.at(-1) ?? '';
    return /\.tsx?$/.test(file) && !kebabCase.test(file) ? [{ path, message: 'file names are kebab-case' }] : [];
  });
}

export function findLongFiles(tree: SourceTree): Fault[] {
  return tree.files
    .filter((path) => bounded.test(path) && !isUnbounded(path))
    .flatMap((path) => {
      const lines = (tree.read(path) ?? '').split('\n').length - 1;
      return lines > maxLines
        ? [{ path, message: `${lines} lines: over ${maxLines} is a fault; cut it by concept` }]
        : [];
    });
}

export function findBarrels(tree: SourceTree): Fault[] {
  return tree.modules
    .filter((module) => module.path.endsWith('/index.ts') || onlyPassesOn(module))
    .map((module) => ({
      path: module.path,
      message: 'a file that only passes on others is a barrel: import them directly',
    }));
}

function onlyPassesOn(module: Module): boolean {
  const code = module.text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const rest = code.replace(/^\s*export\s[^'"`;()]*?\sfrom\s+['"][^'"]+['"];?\s*$/gm, '');
  return code.trim() !== '' && rest.trim() === '';
}
