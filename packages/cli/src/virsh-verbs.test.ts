// The page for those who know virsh: every verb of the virsh that is installed is on it, and every command that it names is
// there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commandTable } from './commands/command-table.ts';

const page = readFileSync(new URL('../../../docs/guides/virsh-verbs.md', import.meta.url), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => /^\| [a-z]/.test(line) && !line.startsWith('| virsh |'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('every verb of virsh is told of once', (t) => {
  const told = rows.flatMap(([, verbs]) => verbs!.split(', '));
  assert.deepEqual(
    told.filter((verb, index) => told.indexOf(verb) !== index),
    [],
    'told of twice',
  );
  const help = execFileSync('virsh', ['help'], { encoding: 'utf8' });
  const verbs = help.split('\n').flatMap((line) => /^ {4}([a-z][a-z-]+) {2,}/.exec(line)?.[1] ?? []);
  assert.ok(verbs.length > 200);
  assert.deepEqual(
    verbs.filter((verb) => !told.includes(verb)),
    [],
  );
  const count = (word: string) =>
    rows.filter(([, , , how]) => how === word).reduce((sum, [, them]) => sum + them!.split(', ').length, 0);
  const words = ['have', 'better', 'beside', 'planned', 'not wanted'];
  t.diagnostic(words.map((word) => `${count(word)} ${word}`).join(', '));
  assert.equal(
    words.reduce((sum, word) => sum + count(word), 0),
    told.length,
  );
});

test('every command of Virga that it names is there', () => {
  const paths = commandTable.map(({ meta }) => meta.path);
  const named = rows.flatMap(([, , ours]) => [...ours!.matchAll(/`virga ([^`]+)`/g)].map(([, command]) => command!));
  assert.ok(named.length > 60);
  for (const command of named) {
    const words = command.split(' ').filter((word) => /^[a-z-]+$/.test(word) && !word.startsWith('-'));
    const isThere = paths.some((path) =>
      [2, 1].some((count) => words.slice(0, count).join(' ') === path.split(' ').slice(0, count).join(' ')),
    );
    assert.ok(isThere || command === '--help', `virga ${command}`);
  }
});
