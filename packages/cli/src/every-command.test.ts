// Every command of the table against a server that knows the contract: what a person sees, what a program gets, and the
// exit code when the server refuses. The pictures are in golden/; VIRGA_UPDATE_GOLDEN=1 draws them anew.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import type { RouteName } from '@virga/contract/rest/api';
import { backupAnswers, backupCommands } from '@virga/testing/backup-examples';
import { aHostBenchmark } from '@virga/testing/benchmark-examples';
import { type CapturedCli, captureCli } from '@virga/testing/captured-cli';
import {
  aCaller,
  aCpuBaseline,
  aForeignDomain,
  aGuest,
  aHost,
  aHostCheckReport,
  aHostCpuReport,
  aHostDiskReport,
  aHostMemoryReport,
  aKeyPair,
  aMembership,
  aNetwork,
  anApiKey,
  anEvent,
  anImage,
  anInstance,
  anInstanceType,
  anOperation,
  aProject,
  aSchedule,
  aUser,
  aWarmImage,
  exampleNowMs,
} from '@virga/testing/contract-examples';
import { type ContractServer, type Handlers, serveContract } from '@virga/testing/contract-server';
import { buildAnswers, buildCommands } from '@virga/testing/image-build-examples';
import { importAnswers, importCommands } from '@virga/testing/import-examples';
import { poolAnswers, poolCommands, volumeAnswers, volumeCommands } from '@virga/testing/pool-examples';
import { snapshotAnswers, snapshotCommands } from '@virga/testing/snapshot-examples';
import { aTunedHost, aTuningPlan } from '@virga/testing/tuning-examples';
import { aHostUsage, anIdleUsage, anInstanceUsage, aUsageReport, usageAnswers } from '@virga/testing/usage-examples';
import { parse } from 'yaml';
import { commandTable } from './commands/command-table.ts';

type Case = {
  argv: string[];
  /** What a program gets. */
  json: unknown;
  /** The exit code when the server forbids everything; default 5. For commands that ask no server, their own failure. */
  failing?: { argv: string[]; exit: number };
  input?: string;
};

const operationId = 'op-00000000000000001';
const change = { instance: anInstance(), operationId } as const;
const changed = [{ name: 'web', ...change }];
const publicKeyFile = 'id_test.pub';
const base64 = (text: string) => Buffer.from(text).toString('base64');
const commandResult = { pid: 42, exitCode: 0, stdout: base64('Linux web\n'), stderr: '', truncated: false };
const aTicket = { ticket: 'T1', path: '/v1/consoles?ticket=T1', expiresAt: '2026-03-01T14:00:30.000Z' };

const anAllowedWriteback = {
  device: 'nvme0n1',
  key: 'eui.0025385b71b0a1f2',
  allowedBy: 'admin',
  allowedAt: '2026-03-01T12:00:00.000Z',
};

const cases: Record<string, Case> = {
  launch: { argv: ['launch', 'web', '--image', 'starter', '--type', 'small', '--no-key'], json: change },
  list: { argv: ['list'], json: [anInstance()] },
  show: { argv: ['show', 'web'], json: anInstance() },
  start: { argv: ['start', 'web'], json: changed },
  stop: { argv: ['stop', 'web'], json: changed },
  suspend: { argv: ['suspend', 'web'], json: changed },
  resume: { argv: ['resume', 'web'], json: changed },
  hibernate: { argv: ['hibernate', 'web'], json: changed },
  wake: { argv: ['wake', 'web'], json: changed },
  reboot: { argv: ['reboot', 'web'], json: changed },
  reset: { argv: ['reset', 'web'], json: changed },
  resize: { argv: ['resize', 'web', '--vcpus', '2', '--memory', '1GiB'], json: changed },
  destroy: { argv: ['destroy', 'web'], json: changed },
  rename: { argv: ['rename', 'web', 'shop'], json: changed },
  set: { argv: ['set', 'web', '--tag', 'env=test', '--protect'], json: changed },
  'schedule add': { argv: ['schedule', 'add', 'web', 'stop', '0 18 * * mon-fri'], json: aSchedule() },
  'schedule list': { argv: ['schedule', 'list', 'web'], json: [aSchedule()] },
  'schedule remove': {
    argv: ['schedule', 'remove', 'web', 'sched-00000000000000001'],
    json: { id: 'sched-00000000000000001', removed: true },
  },
  delete: { argv: ['delete', 'web', '--yes'], json: changed },
  attach: { argv: ['attach', 'web', 'data', '--iops', '500'], json: changed },
  detach: { argv: ['detach', 'web', 'data'], json: changed },
  'nics list': { argv: ['nics', 'list', 'web'], json: anInstance().networkInterfaces },
  'nics add': { argv: ['nics', 'add', 'web', 'default', '--in', '10M'], json: changed },
  'nics remove': { argv: ['nics', 'remove', 'web', '10.77.0.10'], json: changed },
  'limit disk': { argv: ['limit', 'disk', 'web', 'data', '--bps', '20M'], json: changed },
  'limit nic': { argv: ['limit', 'nic', 'web', '10.77.0.10', '--none'], json: changed },
  'disks set': { argv: ['disks', 'set', 'web', 'root', '--cache', 'writethrough', '--io-thread'], json: changed },
  'disks move': {
    argv: ['disks', 'move', 'web', '--pool', 'fast', '--max-rate', '50M', '--wipe'],
    json: change,
  },
  'disks cancel-move': { argv: ['disks', 'cancel-move', 'web'], json: change },
  ...volumeCommands,
  ...poolCommands,
  ...backupCommands,
  ...importCommands,
  ...buildCommands,
  ...snapshotCommands,
  ssh: { argv: ['ssh', 'web', '--print'], json: undefined },
  exec: { argv: ['exec', 'web', '--', 'uname', '-a'], json: undefined },
  cp: {
    argv: ['cp', publicKeyFile, 'web:/root/id.pub'],
    json: { path: '/root/id.pub', sizeBytes: aKeyPair().publicKey.length },
  },
  vnc: { argv: ['vnc', 'web', '--ticket'], json: aTicket },
  screenshot: { argv: ['screenshot', 'web'], json: { mediaType: 'image/png', data: base64('PNG') } },
  'guest info': { argv: ['guest', 'web'], json: aGuest() },
  'guest freeze': {
    argv: ['guest', 'freeze', 'web'],
    json: { fileSystems: 1, frozenUntil: '2026-03-01T14:01:00.000Z' },
  },
  'guest thaw': { argv: ['guest', 'thaw', 'web'], json: { fileSystems: 1 } },
  'guest set-password': {
    argv: ['guest', 'set-password', 'web', 'root', '--password-stdin'],
    json: { user: 'root' },
    input: 'correct horse\n',
  },
  'guest add-key': {
    argv: ['guest', 'add-key', 'web', publicKeyFile],
    json: { user: 'virga', keys: [aKeyPair().publicKey] },
  },
  console: { argv: ['console', 'web', '--log'], json: { text: 'login: \n', truncated: false } },
  stats: { argv: ['stats', 'web'], json: [anIdleUsage] },
  usage: { argv: ['usage', 'web'], json: anInstanceUsage() },
  'send-key': { argv: ['send-key', 'web', 'ctrl+alt+delete'], json: { id: anInstance().id, name: 'web', keys: 1 } },
  nmi: { argv: ['nmi', 'web'], json: { id: anInstance().id, name: 'web' } },
  log: { argv: ['log', 'web'], json: { text: 'login: \n', truncated: false } },
  xml: { argv: ['xml', 'web'], json: { xml: '<domain/>' } },
  edit: { argv: ['edit', 'web', '--file', publicKeyFile, '--yes'], json: change },
  drift: {
    argv: ['drift', 'web'],
    json: { policy: 'keep', last: { seenAt: aUser().createdAt, action: 'kept', diff: '-a\n+b\n' } },
  },
  adopt: { argv: ['adopt', 'web'], json: change },
  release: { argv: ['release', 'web'], json: changed },
  'images list': { argv: ['images'], json: [anImage()] },
  'images show': { argv: ['images', 'show', 'starter'], json: anImage() },
  'images register': {
    argv: ['images', 'register', '/srv/starter.qcow2', '--name', 'starter', '--format', 'qcow2'],
    json: { image: anImage(), operationId },
  },
  'images delete': {
    argv: ['images', 'delete', 'starter', '--yes'],
    json: [{ name: 'starter', image: anImage(), operationId }],
  },
  'images warm': { argv: ['images', 'warm', 'starter'], json: [aWarmImage()] },
  'images cool': { argv: ['images', 'cool', 'starter'], json: [aWarmImage()] },
  'networks list': { argv: ['networks'], json: [aNetwork()] },
  'networks show': { argv: ['networks', 'show', 'default'], json: aNetwork() },
  'networks create': {
    argv: ['networks', 'create', 'default', '--cidr', '10.77.0.0/24'],
    json: { network: aNetwork(), operationId },
  },
  'hardware set': { argv: ['hardware', 'set', 'web', '--tpm', 'yes', '--boot', 'cdrom,disk'], json: changed },
  'cdrom insert': { argv: ['cdrom', 'insert', 'web', 'installer'], json: changed },
  'cdrom eject': { argv: ['cdrom', 'eject', 'web', '--force'], json: changed },
  'networks delete': {
    argv: ['networks', 'delete', 'default', '--yes'],
    json: [{ name: 'default', network: aNetwork(), operationId }],
  },
  'types list': { argv: ['types'], json: [anInstanceType()] },
  'types create': {
    argv: ['types', 'create', 'small', '--vcpus', '1', '--memory', '256', '--disk', '1'],
    json: anInstanceType(),
  },
  'types delete': { argv: ['types', 'delete', 'small', '--yes'], json: { name: 'small', deleted: true } },
  'hosts list': { argv: ['hosts'], json: [aHost()] },
  'hosts check': {
    argv: ['hosts', 'check'],
    json: [{ host: 'alpha', checks: aHostCheckReport().checks, changes: null }],
  },
  'hosts bench': { argv: ['hosts', 'bench', 'alpha', '--only', 'pinning,thp'], json: aHostBenchmark() },
  'hosts bench-report': { argv: ['hosts', 'bench-report', 'alpha'], json: aHostBenchmark() },
  'hosts benchmarks': { argv: ['hosts', 'benchmarks', 'alpha'], json: [aHostBenchmark()] },
  'hosts tune': { argv: ['hosts', 'tune'], json: { tuning: aTunedHost(), seen: aTuningPlan() } },
  'hosts show': { argv: ['hosts', 'show', 'alpha'], json: aHost() },
  'hosts set': { argv: ['hosts', 'set', 'alpha', '--memory-overcommit', '1.5'], json: aHost() },
  'hosts memory': { argv: ['hosts', 'memory', 'alpha'], json: [aHostMemoryReport()] },
  'hosts disks': {
    argv: ['hosts', 'disks', 'alpha'],
    json: [{ host: 'alpha', ...aHostDiskReport().disks[0], writeback: 'refused', storage: '/var/lib/virga' }],
  },
  'hosts allow-volatile-writeback': {
    argv: ['hosts', 'allow-volatile-writeback', 'alpha', 'nvme0n1'],
    json: { items: [anAllowedWriteback] },
  },
  'hosts forbid-volatile-writeback': {
    argv: ['hosts', 'forbid-volatile-writeback', 'alpha', 'nvme0n1'],
    json: { items: [] },
  },
  'hosts usage': { argv: ['hosts', 'usage', 'alpha'], json: aHostUsage() },
  'hosts report': { argv: ['hosts', 'report'], json: aUsageReport() },
  'hosts cpus': { argv: ['hosts', 'cpus', 'alpha'], json: aHostCpuReport() },
  'hosts reserve-cpus': { argv: ['hosts', 'reserve-cpus', 'alpha', '0,4'], json: { reserved: [0, 4] } },
  'hosts baseline': { argv: ['hosts', 'baseline'], json: aCpuBaseline() },
  pin: { argv: ['pin', 'web', '--policy', 'dedicated'], json: changed },
  'hosts domains': { argv: ['hosts', 'domains', 'alpha'], json: [{ ...aForeignDomain(), host: 'alpha' }] },
  'keys list': { argv: ['keys'], json: [aKeyPair()] },
  'keys create': { argv: ['keys', 'create', 'laptop', '--file', 'KEYFILE'], json: undefined },
  'keys import': { argv: ['keys', 'import', 'laptop', publicKeyFile], json: aKeyPair() },
  'keys delete': { argv: ['keys', 'delete', 'laptop', '--yes'], json: { ...aKeyPair(), deleted: true } },
  'operations list': { argv: ['operations'], json: [anOperation()] },
  'operations show': { argv: ['operations', 'show', operationId], json: anOperation() },
  'operations wait': {
    argv: ['operations', 'wait', operationId],
    json: [{ name: 'web', operation: anOperation(), operationId }],
  },
  events: { argv: ['events'], json: [anEvent()] },
  login: {
    argv: ['login', '--access-key-id', 'VKTESTTESTTESTTEST22', '--secret-stdin'],
    json: undefined,
    input: 's\n',
  },
  logout: {
    argv: ['logout', '--profile', 'lab'],
    json: { profile: 'lab', signedOut: true, revoked: false },
    failing: { argv: ['logout', '--server', 'not an address', '--bogus'], exit: 2 },
  },
  whoami: { argv: ['whoami'], json: undefined },
  'profiles list': {
    argv: ['profiles'],
    json: [
      { name: 'lab', server: 'https://lab.example', project: null, accessKeyId: 'VKLABLABLABLABLABL22', current: true },
    ],
    failing: { argv: ['profiles', 'list', 'extra'], exit: 2 },
  },
  'profiles use': {
    argv: ['profiles', 'use', 'lab'],
    json: { profile: 'lab', server: 'https://lab.example' },
    failing: { argv: ['profiles', 'use', 'labb'], exit: 3 },
  },
  'projects list': { argv: ['projects'], json: [aProject()] },
  'projects create': { argv: ['projects', 'create', 'default'], json: aProject() },
  'projects delete': { argv: ['projects', 'delete', 'default', '--yes'], json: { ...aProject(), deleted: true } },
  'members list': { argv: ['members'], json: [aMembership()] },
  'members set': { argv: ['members', 'set', 'admin', 'admin'], json: aMembership() },
  'members remove': {
    argv: ['members', 'remove', 'admin'],
    json: { userId: aUser().id, userName: 'admin', removed: true },
  },
  'users list': { argv: ['users'], json: [aUser()] },
  'users create': { argv: ['users', 'create', 'admin', '--no-password'], json: aUser() },
  'users delete': { argv: ['users', 'delete', 'admin', '--yes'], json: { ...aUser(), deleted: true } },
  'api-keys list': { argv: ['api-keys'], json: [anApiKey()] },
  'api-keys create': { argv: ['api-keys', 'create'], json: { apiKey: anApiKey(), secret: 'shown-once' } },
  'api-keys delete': {
    argv: ['api-keys', 'delete', 'VKTESTTESTTESTTEST22', '--yes'],
    json: { accessKeyId: 'VKTESTTESTTESTTEST22', deleted: true },
  },
  completion: {
    argv: ['completion', 'bash'],
    json: undefined,
    failing: { argv: ['completion', 'tcsh'], exit: 2 },
  },
};

const pageOf = <T>(item: T) => ({ items: [item] });

const handlers: Required<
  Omit<Handlers, 'getHealth' | 'login' | 'followEvents' | 'openConsole' | 'openTicketedConsole'>
> = {
  getCaller: () => aCaller(),
  listProjects: () => pageOf(aProject()),
  createProject: () => aProject(),
  deleteProject: () => ({}),
  listMembers: () => pageOf(aMembership()),
  setMember: () => aMembership(),
  removeMember: () => ({}),
  listUsers: () => pageOf(aUser()),
  createUser: () => aUser(),
  deleteUser: () => ({}),
  listApiKeys: () => pageOf(anApiKey()),
  createApiKey: () => ({ apiKey: anApiKey(), secret: 'shown-once' }),
  deleteApiKey: () => ({}),
  listHosts: () => pageOf(aHost()),
  benchmarkHost: () => aHostBenchmark({ state: 'running', comparisons: [], recommendations: [], finishedAt: null }),
  listHostBenchmarks: () => pageOf(aHostBenchmark()),
  getHostBenchmark: () => aHostBenchmark(),
  cancelHostBenchmark: () => aHostBenchmark(),
  getHost: () => aHost(),
  ...usageAnswers,
  moveRootDisk: () => change,
  cancelRootDiskMove: () => change,
  getHostTuning: () => ({ tuning: aTunedHost(), seen: aTuningPlan() }),
  planHostTuning: () => aTuningPlan(),
  tuneHost: () => ({ tuning: aTunedHost(), operationId }),
  untuneHost: () => ({ tuning: aTunedHost(), operationId }),
  checkHost: () => aHostCheckReport(),
  repairHost: () => ({ changes: [], report: aHostCheckReport() }),
  undoHostRepairs: () => ({ changes: [], report: aHostCheckReport() }),
  getHostMemory: () => aHostMemoryReport(),
  listHostDisks: () => aHostDiskReport(),
  allowVolatileWriteback: () => ({ items: [anAllowedWriteback] }),
  forbidVolatileWriteback: () => ({ items: [] }),
  setDiskDriver: () => change,
  updateHost: () => aHost(),
  listInstanceTypes: () => pageOf(anInstanceType()),
  createInstanceType: () => anInstanceType(),
  deleteInstanceType: () => ({}),
  listKeyPairs: () => pageOf(aKeyPair()),
  getKeyPair: () => aKeyPair(),
  importKeyPair: () => aKeyPair(),
  deleteKeyPair: () => ({}),
  listImages: () => pageOf(anImage()),
  getImage: () => anImage(),
  registerImage: () => ({ image: anImage(), operationId }),
  deleteImage: () => ({ image: anImage(), operationId }),
  listWarmImages: () => ({ items: [aWarmImage()] }),
  warmImage: () => ({ items: [aWarmImage()] }),
  coolImage: () => ({ items: [aWarmImage()] }),
  listNetworks: () => pageOf(aNetwork()),
  getNetwork: () => aNetwork(),
  createNetwork: () => ({ network: aNetwork(), operationId }),
  deleteNetwork: () => ({ network: aNetwork(), operationId }),
  ...poolAnswers,
  ...volumeAnswers,
  ...backupAnswers,
  ...snapshotAnswers,
  ...importAnswers,
  ...buildAnswers,
  attachVolume: () => change,
  detachVolume: () => change,
  addNetworkInterface: () => change,
  removeNetworkInterface: () => change,
  limitDisk: () => change,
  limitNetworkInterface: () => change,
  listInstances: () => pageOf(anInstance()),
  getInstance: () => anInstance(),
  launchInstance: () => change,
  startInstance: () => change,
  stopInstance: () => change,
  rebootInstance: () => change,
  suspendInstance: () => change,
  resumeInstance: () => change,
  hibernateInstance: () => change,
  resetInstance: () => change,
  destroyInstance: () => change,
  deleteInstance: () => change,
  updateInstance: () => change,
  resizeInstance: () => change,
  changeCpu: () => change,
  pinInstance: () => change,
  getHostCpus: () => aHostCpuReport(),
  reserveHostCpus: () => ({ reserved: [0, 4] }),
  getCpuBaseline: () => aCpuBaseline(),
  setCpuBaseline: () => aCpuBaseline(),
  changeHardware: () => change,
  changeCdrom: () => change,
  listSchedules: () => pageOf(aSchedule()),
  createSchedule: () => aSchedule(),
  deleteSchedule: () => ({}),
  getDefinition: () => ({ generated: '<domain/>', effective: '<domain/>', overlay: [], diff: '', conflicts: [] }),
  setOverlay: () => ({ overlay: [], diff: '-a\n+b\n', conflicts: [], operationId }),
  getDrift: () => ({ policy: 'keep', last: { seenAt: aUser().createdAt, action: 'kept', diff: '-a\n+b\n' } }),
  setDriftPolicy: () => change,
  adoptInstance: () => change,
  releaseInstance: () => change,
  listForeignDomains: () => pageOf(aForeignDomain()),
  getInstanceXml: () => ({ xml: '<domain/>' }),
  getConsoleLog: () => ({ text: 'login: \n', truncated: false }),
  getStatistics: () => ({
    at: anInstance().createdAt,
    cpuTimeNs: 1e9,
    vcpus: 1,
    memory: { currentKib: 524_288, residentKib: 131_072, usableKib: null },
    disks: [],
    networkInterfaces: [],
  }),
  sendKeys: () => ({}),
  injectNmi: () => ({}),
  createConsoleTicket: () => aTicket,
  getScreenshot: () => ({ mediaType: 'image/png', data: base64('PNG') }),
  getGuest: () => aGuest(),
  executeInGuest: () => commandResult,
  awaitGuestCommand: () => commandResult,
  getGuestFileStatus: () => ({ kind: 'absent', sizeBytes: null, mode: null }),
  readGuestFile: () => ({ data: base64('web\n'), endOfFile: true }),
  writeGuestFile: () => ({}),
  freezeGuest: () => ({ fileSystems: 1, frozenUntil: '2026-03-01T14:01:00.000Z' }),
  thawGuest: () => ({ fileSystems: 1 }),
  setGuestPassword: () => ({}),
  setGuestKeys: () => ({}),
  listOperations: () => pageOf(anOperation()),
  getOperation: () => anOperation(),
  listEvents: () => pageOf(anEvent()),
  listCloudEvents: () => pageOf(anEvent()),
};

let server: ContractServer;
let refusing: ContractServer;

before(async () => {
  server = await serveContract(handlers);
  const refuse = () => {
    throw new VirgaError('Forbidden', { detail: 'You may not do this.', action: 'Ask an administrator.' });
  };
  refusing = await serveContract(
    Object.fromEntries(Object.keys(handlers).map((name) => [name as RouteName, refuse])) as Handlers,
  );
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await refusing[Symbol.asyncDispose]();
  assert.deepEqual(server.faults, []);
});

/** A command line with one remembered login and a public key in its home. */
async function prepared(url: string): Promise<CapturedCli> {
  const cli = await captureCli(url, {}, exampleNowMs);
  await mkdir(join(cli.home, '.config/virga'), { recursive: true });
  const profile = { server: 'https://lab.example', accessKeyId: 'VKLABLABLABLABLABL22', secret: 's' };
  const config = { version: 1, currentProfile: 'lab', profiles: { lab: profile }, identities: {} };
  await writeFile(join(cli.home, '.config/virga/config.json'), JSON.stringify(config));
  await writeFile(join(cli.home, publicKeyFile), aKeyPair().publicKey);
  return cli;
}

const inHome = (argv: readonly string[], { home }: CapturedCli) =>
  argv.map((word) => (word === publicKeyFile || word === 'KEYFILE' ? join(home, word) : word));

async function assertGolden(name: string, actual: string): Promise<void> {
  const path = join(import.meta.dirname, 'golden', name);
  if (process.env.VIRGA_UPDATE_GOLDEN) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, actual);
  }
  assert.equal(actual, await readFile(path, 'utf8'));
}

const fileOf = (path: string) => `${path.replaceAll(' ', '-')}.txt`;

test('every command has a case here', () => {
  assert.deepEqual(Object.keys(cases).sort(), commandTable.map(({ meta }) => meta.path).sort());
});

for (const { meta } of commandTable) {
  const { path } = meta;
  const { argv, json, failing, input } = cases[path] ?? { argv: [], json: undefined };

  test(`virga ${path} --help says what it is for, with examples`, async () => {
    await using cli = await captureCli(server.url);
    const run = await cli.run([...path.split(' '), '--help']);
    assert.deepEqual([run.exit, run.stderr], [0, '']);
    assert.match(run.stdout, /\nExamples\n {2}\S/);
    await assertGolden(join('help', fileOf(path)), run.stdout);
  });

  test(`virga ${path} prints for people`, async () => {
    await using cli = await prepared(server.url);
    const run = await cli.run(inHome(argv, cli), { input });
    assert.equal(run.exit, 0, run.stderr);
    const shown = `${run.stdout}--- stderr\n${run.stderr}`
      .replaceAll(cli.home, '$HOME')
      .replaceAll(server.url, '$SERVER')
      .replaceAll(server.url.replace('http', 'ws'), '$SERVER');
    await assertGolden(join('output', fileOf(path)), shown);
  });

  if (json !== undefined) {
    test(`virga ${path} gives a program the shapes of the contract, as JSON and as YAML`, async () => {
      await using cli = await prepared(server.url);
      const asJson = await cli.run([...inHome(argv, cli), '--output', 'json'], { input });
      assert.equal(asJson.exit, 0, asJson.stderr);
      assert.deepEqual(JSON.parse(asJson.stdout), json);
      await using other = await prepared(server.url);
      const asYaml = await other.run([...inHome(argv, other), '-o', 'yaml'], { input });
      assert.deepEqual(parse(asYaml.stdout), json);
    });
  }

  test(`virga ${path} fails with the exit code of the registry, and with a sentence and what to do`, async () => {
    await using cli = await prepared(refusing.url);
    const run = await cli.run(inHome(failing?.argv ?? argv, cli), { input });
    assert.equal(run.exit, failing?.exit ?? 5, run.stderr);
    assert.match(run.stderr, /^error: .+\.\n {2}try: .+\.\n$/);
    assert.equal(run.stdout, '');
  });
}
