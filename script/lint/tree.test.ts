import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findForbiddenArrows } from './arrows.ts';
import { findCycles } from './cycles.ts';
import { findUndeclaredDependencies } from './dependencies.ts';
import { findBadNames, findBarrels, findLongFiles } from './names-and-sizes.ts';
import { findBrokenPromises } from './promises.ts';
import { type Fault, type Manifest, parseModule, type SourceTree } from './source-tree.ts';

/** A tree of these files, with a package for each folder of packages/ among them. */
function treeOf(texts: Record<string, string>, dependencies: Record<string, string[]> = {}): SourceTree {
  const manifests: Record<string, Manifest> = {};
  for (const path of Object.keys(texts)) {
    const name = /^packages\/([^/]+)\//.exec(path)?.[1];
    if (!name) continue;
    const declared = Object.fromEntries((dependencies[name] ?? []).map((dependency) => [dependency, '1']));
    manifests[`packages/${name}`] = { name: `@virga/${name}`, dependencies: declared };
  }
  const modules = Object.entries(texts)
    .filter(([path]) => path.endsWith('.ts'))
    .map(([path, text]) => parseModule(path, text));
  return { files: Object.keys(texts), modules, manifests, read: (path) => texts[path] };
}
const messages = (faults: Fault[]) => faults.map((fault) => `${fault.path}:${fault.line ?? '-'} ${fault.message}`);

test('imports are found in every form, and not in comments', () => {
  const text = `// import x from './no.ts'
/* import y from './no.ts' */
import type { A } from './a.ts';
import {
  b,
} from './b.ts';
import './c.ts';
export { d } from './d.ts';
const e = await import('./e.ts');
`;
  assert.deepEqual(
    parseModule('m.ts', text).imports.sort((a, b) => a.line - b.line),
    [
      { specifier: './a.ts', line: 3, typeOnly: true },
      { specifier: './b.ts', line: 6, typeOnly: false },
      { specifier: './c.ts', line: 7, typeOnly: false },
      { specifier: './d.ts', line: 8, typeOnly: false },
      { specifier: './e.ts', line: 9, typeOnly: false },
    ],
  );
});

test('a package imports only along the arrows, also for types', () => {
  const tree = treeOf({
    'packages/contract/src/a.ts': `import type { b } from '@virga/control-plane/b';`,
    'packages/control-plane/src/b.ts': `import { a } from '@virga/contract/a';`,
  });
  assert.deepEqual(messages(findForbiddenArrows(tree)), [
    'packages/contract/src/a.ts:1 contract must not import control-plane; it may import nothing of ours',
  ]);
});

test('a package that nobody has placed is a fault, once it imports another', () => {
  const tree = treeOf({
    'packages/novel/src/a.ts': `import { b } from '@virga/contract/b';`,
    'packages/contract/src/b.ts': '',
  });
  assert.match(messages(findForbiddenArrows(tree)).join(), /novel is new/);
});

test('tests beside the code may use the harness, the code may not', () => {
  const tree = treeOf({
    'packages/cli/src/a.test.ts': `import { x } from '@virga/testing/x';`,
    'packages/cli/src/a.ts': `import { x } from '@virga/testing/x';`,
    'packages/testing/src/x.ts': '',
  });
  assert.deepEqual(
    findForbiddenArrows(tree).map((fault) => fault.path),
    ['packages/cli/src/a.ts'],
  );
});

const controlPlane = (texts: Record<string, string>) =>
  findForbiddenArrows(
    treeOf(
      Object.fromEntries(Object.entries(texts).map(([path, text]) => [`packages/control-plane/src/${path}`, text])),
    ),
  );

test('the HTTP front knows no SQL and no store', () => {
  const faults = controlPlane({
    'http/server.ts': `import { sql } from 'kysely';\nimport { x } from '../modules/hosts/host-store.ts';`,
    'modules/hosts/host-store.ts': `import { sql } from 'kysely';`,
  });
  assert.deepEqual(
    faults.map((fault) => fault.line),
    [1, 2],
  );
});

test('a module imports only those before it', () => {
  const faults = controlPlane({
    'modules/instances/a.ts': `import { b } from '../images/b.ts';`,
    'modules/images/b.ts': '',
    'modules/images/c.ts': `import { a } from '../instances/a.ts';`,
  });
  assert.deepEqual(messages(faults), [
    'packages/control-plane/src/modules/images/c.ts:1 module images must not import instances, which comes after it',
  ]);
});

test('only what runs without a caller acts as the system', () => {
  const text = `import { systemAccess } from '../access/system-access.ts';`;
  const faults = controlPlane({
    'reconcile/a.ts': text,
    'workflows/b.ts': text,
    'http/c.ts': text,
    'access/system-access.ts': '',
  });
  assert.deepEqual(
    faults.map((fault) => fault.path),
    ['packages/control-plane/src/http/c.ts'],
  );
});

test('a cycle is found, also through another package, and a file that imports itself', () => {
  const tree = treeOf({
    'packages/a/src/one.ts': `import { two } from '@virga/b/two';`,
    'packages/b/src/two.ts': `import type { one } from '@virga/a/one';`,
    'packages/a/src/self.ts': `import { x } from './self.ts';`,
    'packages/a/src/fine.ts': `import { x } from './self.ts';`,
  });
  assert.deepEqual(
    findCycles(tree)
      .map((fault) => fault.path)
      .sort(),
    ['packages/a/src/one.ts', 'packages/a/src/self.ts'],
  );
});

test('an import that no package.json declares is a fault; Node and the package itself are not', () => {
  const tree = treeOf(
    { 'packages/a/src/a.ts': `import 'node:fs';\nimport 'kysely';\nimport 'pg/lib';\nimport '@virga/a/b';` },
    { a: ['kysely'] },
  );
  assert.deepEqual(messages(findUndeclaredDependencies(tree)), [
    'packages/a/src/a.ts:3 pg is not in packages/a/package.json',
  ]);
});

test('empty names are faults, whether of a folder or a file', () => {
  const tree = treeOf({
    'packages/a/src/utils/x.ts': '',
    'packages/a/src/helpers.ts': '',
    'packages/a/src/Camel.ts': '',
    'packages/a/src/fine.test.ts': '',
  });
  assert.equal(findBadNames(tree).length, 3);
});

test('a file of more than 500 lines is a fault, unless nobody wrote it by hand', () => {
  const long = 'x\n'.repeat(501);
  const tree = treeOf({ 'a.ts': long, 'b.ts': 'x\n'.repeat(500), 'golden/c.ts': long, 'script/up': long });
  assert.deepEqual(
    findLongFiles(tree).map((fault) => fault.path),
    ['a.ts', 'script/up'],
  );
});

test('a file that only passes on others is a barrel', () => {
  const tree = treeOf({
    'a.ts': `// All of it.\nexport * from './b.ts';\nexport { c } from './c.ts';\n`,
    'b.ts': `export { c } from './c.ts';\nexport const d = 1;\n`,
  });
  assert.deepEqual(
    findBarrels(tree).map((fault) => fault.path),
    ['a.ts'],
  );
});

test('a promise names a test that exists', () => {
  const page = `| promise | kept by |
|---|---|
| one | \`tests/a.test.ts\` |
| two | \`tests/gone.test.ts\` |
| three | nothing |
`;
  const faults = findBrokenPromises(treeOf({ 'SPECIFICATION.md': page, 'tests/a.test.ts': '' }));
  assert.deepEqual(
    faults.map((fault) => fault.line),
    [4, 5],
  );
});
