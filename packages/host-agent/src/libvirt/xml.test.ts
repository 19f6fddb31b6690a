import assert from 'node:assert/strict';
import { test } from 'node:test';
import { childAt, childrenOf, element, escapeXml, parseXml, textElement } from './xml.ts';

test('what is written is read back, whatever the characters', () => {
  const text = `a<b>&"c"'d' é 𝄞 &amp; &#65;\n\tf\r\n`;
  const read = parseXml(element('root', { text, none: undefined }, textElement('child', text), false, undefined));
  assert.deepEqual(read.attributes, { text });
  assert.equal(childAt(read, 'child')?.text, text);
});

test('characters that XML has no way to write are refused', () => {
  for (const text of ['\u0000', '\u001b[0m', '\ufffe', '\ud800']) assert.throws(() => escapeXml(text), RangeError);
});

test('prefixes, comments, declarations and CDATA do not get in the way', () => {
  const xml = `<?xml version='1.0'?><!-- c --><d xmlns:v='urn:v'><v:x a='1'/><x a='2'>t<!-- c -->u</x><y><![CDATA[<z>]]></y></d>`;
  const read = parseXml(xml);
  assert.deepEqual(
    childrenOf(read, 'x').map(({ attributes }) => attributes.a),
    ['1', '2'],
  );
  assert.equal(childrenOf(read, 'x')[1]?.text, 'tu');
});

test('entities of a document type are not expanded', () => {
  const read = parseXml(`<!DOCTYPE d [<!ENTITY e 'expanded'>]><d>&e;</d>`);
  assert.equal(read.text, '&e;');
});

test('a document without an element is no document', () => {
  assert.throws(() => parseXml('  '), SyntaxError);
});
