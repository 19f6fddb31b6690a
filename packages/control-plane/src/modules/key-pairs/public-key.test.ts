import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parsePublicKey } from './public-key.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'virga-keys-'));
});
after(() => rmSync(folder, { recursive: true }));

function keygen(name: string, ...options: string[]): { line: string; fingerprint: string } {
  const path = join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'ada@example', '-f', path, ...options]);
  const fingerprint =
    execFileSync('ssh-keygen', ['-l', '-f', `${path}.pub`])
      .toString()
      .split(' ')[1] ?? '';
  return { line: readFileSync(`${path}.pub`, 'utf8'), fingerprint };
}

test('every kind of key that ssh-keygen makes is read, with the fingerprint that it prints', () => {
  const kinds = [
    ['ed25519'],
    ['rsa', '-b', '2048'],
    ['ecdsa', '-b', '256'],
    ['ecdsa', '-b', '384'],
    ['ecdsa', '-b', '521'],
  ];
  for (const [index, kind] of kinds.entries()) {
    const { line, fingerprint } = keygen(`k${index}`, '-t', ...kind);
    assert.deepEqual(parsePublicKey(line), { line: line.trim(), fingerprint }, kind.join(' '));
  }
});

test('what is no public key is refused with a reason', () => {
  const { line } = keygen('good', '-t', 'ed25519');
  const [type, base64 = ''] = line.split(' ');
  const cases: [string, RegExp][] = [
    ['', /does not begin/],
    [readFileSync(join(folder, 'good'), 'utf8'), /private key/],
    [`${line}${line}`, /more than one line/],
    [`command="x" ${line}`, /does not begin/],
    [`${type} ${base64.slice(0, -8)}`, /cannot be read|damaged|cut short/],
    [`${type} ${base64.slice(0, 20)}!${base64.slice(21)}`, /damaged/],
    [`ssh-rsa ${base64}`, /holds another type/],
    [`ssh-dss ${base64}`, /not accepted/],
    [type ?? '', /cannot be read/],
    [keygen('weak', '-t', 'rsa', '-b', '1024').line, /1024 bits/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(() => parsePublicKey(text), { name: 'InvalidKeyPair', field: '/publicKey', detail: reason }, text);
  }
});
