import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optionFlag } from './command.ts';
import { commandTable } from './commands/command-table.ts';
import { cliReferencePage } from './reference.ts';

test('the reference has every command with its options and examples', () => {
  const page = cliReferencePage();
  const parts = page.split('\n### ');
  for (const { meta, options, examples } of commandTable) {
    const part = parts.find((text) => text.startsWith(`virga ${meta.path}\n`));
    assert.ok(part, `virga ${meta.path} is missing`);
    for (const name of Object.keys(options)) assert.ok(part.includes(`\`${optionFlag(name)}`), `${meta.path} ${name}`);
    for (const { command } of examples) assert.ok(part.includes(command), command);
  }
});
