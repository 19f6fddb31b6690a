import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandTable, groupSummaries } from '../commands/command-table.ts';
import { buildTree } from '../program/command-tree.ts';
import { complete } from './complete.ts';

const tree = buildTree(commandTable, groupSummaries);
const values = (...words: string[]) => complete(tree, words).candidates.map(({ value }) => value);

test('the first word is a command', () => {
  assert.deepEqual(values('l'), ['launch', 'list', 'limit', 'log', 'login', 'logout']);
  assert.ok(values('').includes('images'));
});

test('the second word of a group is one of its commands', () => {
  assert.deepEqual(values('images', ''), [
    ...['list', 'show', 'build', 'create', 'lint', 'seal', 'build-record', 'warm', 'cool'],
    ...['catalog', 'pull', 'import', 'cancel-import', 'register', 'share', 'delete'],
  ]);
});

test('the singular of a group leads to the same, and is not offered besides', () => {
  assert.deepEqual(values('image', ''), values('images', ''));
  assert.deepEqual(values('api-k'), ['api-keys']);
  assert.deepEqual(complete(tree, ['host', 'show', '']).names, { kind: 'host', joined: '' });
});

test('options are those of the command and of all, and none is offered twice unless it may be repeated', () => {
  assert.deepEqual(values('list', '--s'), ['--state', '--server']);
  assert.ok(!values('list', '--state', 'running', '--s').includes('--state'));
  assert.ok(values('launch', '--key', 'a', '--').includes('--key'));
  assert.ok(values('images', '--').includes('--output'));
});

test('a value follows its option, joined or apart', () => {
  assert.deepEqual(values('list', '--state', 'run'), ['running']);
  assert.deepEqual(values('list', '--state=run'), ['--state=running']);
  assert.deepEqual(values('-o', ''), ['table', 'json', 'yaml']);
  assert.deepEqual(values('start', '--wait='), ['--wait=running', '--wait=ssh']);
});

test('an option that may stand alone takes no word after it', () => {
  assert.deepEqual(complete(tree, ['start', '--wait', '']).names, { kind: 'instance', joined: '' });
});

test('arguments and values say which names they stand for', () => {
  assert.deepEqual(complete(tree, ['--project', 'shop', 'show', '']), {
    candidates: [],
    names: { kind: 'instance', joined: '' },
    files: false,
    given: { project: 'shop' },
    taken: [],
  });
  assert.deepEqual(complete(tree, ['launch', '--image=']).names, { kind: 'image', joined: '--image=' });
  assert.deepEqual(complete(tree, ['delete', 'web', 'd']).taken, ['web']);
  assert.equal(complete(tree, ['show', 'web', '']).names, undefined);
});

test('paths are left to the shell', () => {
  assert.equal(complete(tree, ['keys', 'import', 'laptop', '']).files, true);
  assert.equal(complete(tree, ['launch', '--user-data', '']).files, true);
  assert.equal(complete(tree, ['list', '']).files, false);
});

test('after -- nothing is an option', () => {
  assert.deepEqual(values('ssh', 'web', '--', '-'), []);
});

test('nothing that can be typed breaks it', () => {
  for (const words of [[], ['bogus', ''], ['images', 'bogus', ''], ['--bogus', ''], ['list', '--bogus=', ''], ['=']]) {
    assert.ok(Array.isArray(complete(tree, words).candidates));
  }
});
