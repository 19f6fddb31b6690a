// Editing as a person does it, with an editor that is a program: what it makes of the text is what is sent.
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance } from '@virga/testing/contract-examples';
import { serveContract } from '@virga/testing/contract-server';

const plan = { overlay: [], diff: '-one\n+two\n', conflicts: [] };
const definition = {
  generated: '<domain/>',
  effective: '<domain>one</domain>\n',
  overlay: [],
  diff: '',
  conflicts: [],
};

async function edited(script: string, refuse = false) {
  const sent: unknown[] = [];
  await using server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    getDefinition: () => definition,
    setOverlay: ({ body }) => {
      sent.push(body);
      if (refuse) throw new VirgaError('InvalidArgument', { detail: 'No.', action: 'Mend it.', field: '/xml' });
      return { ...plan, operationId: body.dryRun ? null : 'op-00000000000000001' };
    },
  });
  await using cli = await captureCli(server.url);
  const program = join(cli.home, 'editor.mjs');
  await writeFile(
    program,
    `import { readFileSync, writeFileSync } from 'node:fs';\nconst path = process.argv[2];\n${script}`,
  );
  await chmod(program, 0o755);
  const env = { EDITOR: `${process.execPath} ${program}` };
  const run = await cli.run(['edit', 'web', '--yes'], { env });
  return { run, sent };
}

test('what the editor makes of the definition is planned, shown, and sent', async () => {
  const { run, sent } = await edited("writeFileSync(path, readFileSync(path, 'utf8').replace('one', 'two'));");
  assert.equal(run.exit, 0, run.stderr);
  const xml = '<domain>two</domain>\n';
  assert.deepEqual(sent, [{ xml, dryRun: true }, { xml }]);
  assert.match(run.stderr, /-one\n\+two/);
});

test('an editor that changes nothing sends nothing', async () => {
  const { run, sent } = await edited('');
  assert.deepEqual([run.exit, sent], [0, []]);
  assert.match(run.stderr, /Nothing was changed/);
});

test('an editor that fails is told, and sends nothing', async () => {
  const { run, sent } = await edited('process.exit(3);');
  assert.deepEqual([run.exit, sent], [2, []]);
  assert.match(run.stderr, /ended with 3; nothing was changed/);
});

test('what libvirt would not take is told, and asked about again', async () => {
  const { run, sent } = await edited("writeFileSync(path, 'broken');", true);
  assert.deepEqual([run.exit, sent.length], [2, 1]);
  assert.match(run.stderr, /No\. Mend it\./);
});
