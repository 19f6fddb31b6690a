import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureCli } from '@virga/testing/captured-cli';
import { defineCommand } from '../command.ts';

/** No server is there: a mistake must be found before anything is asked. */
const nowhere = 'http://127.0.0.1:1';

const mistakes: [string, string[], RegExp][] = [
  ['an unknown command', ['lanch'], /There is no command virga lanch\.\n {2}try: Did you mean virga launch\?/],
  [
    'an unknown command of a group',
    ['images', 'lst'],
    /no command virga images lst\.\n.*Did you mean virga images list\?/,
  ],
  ['a command that resembles nothing', ['zzzzzz'], /no command virga zzzzzz\.\n {2}try: virga --help shows/],
  ['an unknown option', ['list', '--outptu', 'json'], /virga list has no option --outptu\.\n.*Did you mean --output\?/],
  ['an unknown option of the command itself', ['list', '--stat=x'], /no option --stat\.\n.*Did you mean --state\?/],
  [
    'an option meant for the guest',
    ['ssh', 'web', 'uname', '-a'],
    /no option -a\.\n.*Did you mean virga ssh … -- -a\?/,
  ],
  ['a missing argument', ['show'], /virga show needs INSTANCE\./],
  ['a missing option', ['launch', 'web', '--image', 'starter'], /virga launch needs --type TYPE\./],
  ['a launch from nothing', ['launch', 'web', '--type', 'small'], /Add --image to clone a disk, or --iso/],
  ['a boot order of other things', ['launch', '--iso', 'a', '--type', 'b', '--boot', 'floppy'], /--boot floppy/],
  ['a disk image whose format is not stated', ['images', 'register', 'a.img', '--name', 'a'], /--format qcow2/],
  ['an option without its value', ['list', '--server'], /--server needs a value\./],
  ['one argument too many', ['show', 'a', 'b'], /virga show does not know what to do with "b"\./],
  [
    'a word that is none of the choices',
    ['list', '--state', 'runing'],
    /--state cannot be "runing"\.\n.*Did you mean running\?/,
  ],
  ['an argument that is none of the choices', ['completion', 'bsh'], /SHELL cannot be "bsh"\.\n.*Did you mean bash\?/],
  ['text for a number', ['stop', 'web', '--timeout', '1m'], /--timeout cannot be "1m"\.\n.*from 0 to 3600\./],
  ['a number out of range', ['stop', 'web', '--timeout', '3601'], /--timeout cannot be "3601"/],
  ['an unknown format', ['list', '-o', 'xml'], /--output cannot be "xml"\.\n.*table, json, yaml\./],
  ['an address that is none', ['list', '--server', 'nonsense'], /nonsense is not the address of a server\./],
  ['--follow without --log', ['console', 'web', '--follow'], /--follow was given without --log\./],
  ['--key and --no-key', ['launch', '--image', 'a', '--type', 'b', '--key', 'k', '--no-key'], /--key and --no-key/],
  ['two ways of signing in', ['login', '--user', 'a', '--access-key-id', 'VK'], /API key and a user name were given/],
  [
    'user data that is not there',
    ['launch', '--image', 'a', '--type', 'b', '--user-data', '/no/file'],
    /\/no\/file cannot be read \(ENOENT\)/,
  ],
];

for (const [name, argv, message] of mistakes) {
  test(`${name} is bad input: one sentence, what to do, exit 2`, async () => {
    await using cli = await captureCli(nowhere);
    const run = await cli.run(argv);
    assert.equal(run.exit, 2, run.stderr);
    assert.match(run.stderr, message);
    assert.equal(run.stdout, '');
    assert.equal(run.stderr.trimEnd().split('\n').length, 2);
  });
}

test('a profile that does not exist is not found, with the nearest one', async () => {
  await using cli = await captureCli(nowhere);
  const run = await cli.run(['list', '--profile', 'lab']);
  assert.equal(run.exit, 3);
  assert.match(run.stderr, /no profile named lab\.\n.*virga profiles list/);
});

test('a mistake is a problem document when JSON was asked for', async () => {
  await using cli = await captureCli(nowhere);
  const run = await cli.run(['list', '--output', 'json', '--bogus']);
  assert.equal(run.exit, 2);
  assert.equal(JSON.parse(run.stderr).code, 'InvalidArgument');
});

test('a server that does not answer is exit 6, with its address', async () => {
  await using cli = await captureCli(nowhere);
  const run = await cli.run(['list']);
  assert.equal(run.exit, 6);
  assert.match(run.stderr, /^error: The server at http:\/\/127\.0\.0\.1:1 does not answer\./);
});

test('user data over 16 KiB is refused before anything is asked', async () => {
  await using cli = await captureCli(nowhere);
  const argv = ['launch', '--image', 'a', '--type', 'b', '--user-data', '-'];
  const run = await cli.run(argv, { input: 'x'.repeat(16_385) });
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /has 16385 bytes; at most 16384 are allowed/);
});

test('without a command, the help comes', async () => {
  await using cli = await captureCli(nowhere);
  const run = await cli.run([]);
  assert.equal(run.exit, 0);
  assert.match(
    run.stdout,
    /^Virga: a private cloud on KVM\.\n\nUsage\n {2}virga COMMAND \[OPTIONS\]\n\nInstances\n {2}launch/,
  );
});

test('--help lists every section, and help COMMAND is COMMAND --help', async () => {
  await using cli = await captureCli(nowhere);
  const [whole, group, both, other] = await Promise.all([
    cli.run(['--help']),
    cli.run(['images', '--help']),
    cli.run(['help', 'launch']),
    cli.run(['launch', '-h']),
  ]);
  for (const section of ['Instances', 'Resources', 'Watching', 'Access', 'This machine', 'Environment', 'Exit codes']) {
    assert.match(whole.stdout, new RegExp(`^${section}$`, 'm'));
  }
  assert.match(group.stdout, /list +List the images of the project and the public ones \(without COMMAND\)/);
  assert.equal(both.stdout, other.stdout);
});

test('every group goes by its singular too, with the same help', async () => {
  await using cli = await captureCli(nowhere);
  for (const [plural, singular] of [
    ['images', 'image'],
    ['hosts', 'host'],
    ['api-keys', 'api-key'],
  ] as const) {
    const [long, short, leaf] = await Promise.all([
      cli.run([plural, '--help']),
      cli.run([singular, '--help']),
      cli.run([singular, 'list', '--help']),
    ]);
    assert.equal(short.exit, 0);
    assert.equal(short.stdout, long.stdout);
    assert.equal(leaf.stdout, (await cli.run([plural, 'list', '--help'])).stdout);
  }
  assert.match((await cli.run(['image', 'lst'])).stderr, /no command virga images lst\.\n.*virga images list\?/);
});

test('help fits a narrow terminal', async () => {
  await using cli = await captureCli(nowhere);
  const run = await cli.run(['launch', '--help', '--no-color'], { columns: 60 });
  const prose = run.stdout.split('\nExamples\n')[0]!;
  const tooLong = prose.split('\n').filter((line) => line.length > 60);
  assert.deepEqual(tooLong, []);
});

test('--version says the version of the executable', async () => {
  await using cli = await captureCli(nowhere);
  assert.deepEqual(await cli.run(['--version']), { exit: 0, stdout: '1.2.3\n', stderr: '' });
});

test('the executable adds commands, and its exit code is theirs', async () => {
  await using cli = await captureCli(nowhere);
  const server = defineCommand({
    meta: { path: 'server', summary: 'Run the server', section: 'This machine' },
    args: {},
    options: { port: { type: 'integer', value: 'PORT', summary: 'where', minimum: 1, maximum: 9, default: 7 } },
    examples: [],
    run: async (context, { options }) => {
      context.print.write(`${options.port}\n`);
      return 6;
    },
  });
  const run = await cli.run(['server'], { extraCommands: [server] });
  assert.deepEqual(run, { exit: 6, stdout: '7\n', stderr: '' });
  assert.match((await cli.run(['--help'], { extraCommands: [server] })).stdout, /server {6}Run the server/);
});

test('an error that is not in the registry is called a mistake of ours', async () => {
  await using cli = await captureCli(nowhere);
  const broken = defineCommand({
    meta: { path: 'broken', summary: 'Break', section: 'This machine' },
    args: {},
    options: {},
    examples: [],
    run: () => Promise.reject(new Error('the wheel came off')),
  });
  const run = await cli.run(['broken'], { extraCommands: [broken], env: { VIRGA_DEBUG: '1' } });
  assert.equal(run.exit, 1);
  assert.match(run.stderr, /made a mistake: the wheel came off\.\n {2}try: .*VIRGA_DEBUG=1[\s\S]*mistakes\.test\.ts/);
});
