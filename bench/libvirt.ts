// Calls per second of the libvirt client, beside libvirt's own C client (through python3-libvirt) and `virsh` processes, on
// one private libvirtd, turn by turn. Nothing else may be drawn from it: what the daemon takes is in all three.
//
// usage: script/node --conditions=development bench/libvirt.ts [SECONDS a turn, default 1] [TURNS, default 5]
import { spawnSync } from 'node:child_process';
import { type Connection, connect } from '@virga/libvirt/connection/connect';
import { startHypervisor } from '@virga/testing/hypervisor';
import { figure, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';
import { startPythonPeer } from './libvirt/python-peer.ts';

const domainCount = 100;
const domainNames = 'bench-';
/** As many as libvirtd works on for one client, and so as many threads for the C client. */
const callers = 5;
const virshProcesses = 20;
const aims = { overC: 1, overVirsh: 50 };

type Call = (connection: Connection) => () => Promise<unknown>;

const calls: Record<string, { title: string; virsh: (name: string) => string[]; call: Call }> = {
  list: {
    title: `list of ${domainCount} domains`,
    virsh: () => ['list', '--all', '--name'],
    call: (connection) => () => connection.domains.list(),
  },
  info: {
    title: 'info of a domain',
    virsh: (name) => ['dominfo', name],
    call: (connection) => withFirst(connection, (domain) => connection.domains.info(domain)),
  },
  xml: {
    title: 'XML of a domain',
    virsh: (name) => ['dumpxml', name],
    call: (connection) => withFirst(connection, (domain) => connection.domains.xml(domain)),
  },
  stats: {
    title: `statistics of ${domainCount} domains`,
    virsh: () => ['domstats'],
    call: (connection) => () => connection.domains.stats(),
  },
};

type DomainRef = Awaited<ReturnType<Connection['domains']['lookupByName']>>;

function withFirst(connection: Connection, call: (domain: DomainRef) => Promise<unknown>): () => Promise<unknown> {
  const first = connection.domains.lookupByName(`${domainNames}0`);
  return async () => call(await first);
}

const domainXml = (type: string, name: string) => `<domain type='${type}'><name>${name}</name><memory>8192</memory>
  <os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/var/lib/libvirt/images/${name}.qcow2'/>
  <target dev='vda' bus='virtio'/></disk><serial type='pty'/></devices></domain>`;

async function repeat(call: () => Promise<unknown>, parallel: number, seconds: number): Promise<number> {
  await call();
  const startedAt = performance.now();
  const end = startedAt + seconds * 1000;
  let count = 0;
  const caller = async (): Promise<void> => {
    for (; performance.now() < end; count++) await call();
  };
  await Promise.all(Array.from({ length: parallel }, caller));
  return (count * 1000) / (performance.now() - startedAt);
}

/** Pairs of suspend and resume; counts the events that arrive. */
async function repeatEvents(connection: Connection, seconds: number): Promise<number> {
  const domain = await connection.domains.lookupByName(`${domainNames}0`);
  let seen = 0;
  let sent = Number.POSITIVE_INFINITY;
  const everything = Promise.withResolvers<void>();
  await using _ = await connection.domains.on('lifecycle', () => {
    if (++seen >= sent) everything.resolve();
  });
  const startedAt = performance.now();
  let count = 0;
  for (; performance.now() < startedAt + seconds * 1000; count += 2) {
    await connection.domains.suspend(domain);
    await connection.domains.resume(domain);
  }
  sent = count;
  if (seen < sent) await everything.promise;
  return (seen * 1000) / (performance.now() - startedAt);
}

function virshPerSecond(uri: string, args: readonly string[]): number {
  const startedAt = performance.now();
  for (let i = 0; i < virshProcesses; i++) {
    const { status, stderr } = spawnSync('virsh', ['-q', '-c', uri, ...args]);
    if (status !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`);
  }
  return (virshProcesses * 1000) / (performance.now() - startedAt);
}

async function main(): Promise<void> {
  const [seconds = 1, turns = 5] = process.argv.slice(2).map(Number);
  const hypervisor = await startHypervisor();
  const path = hypervisor.socketPath;
  const peer = startPythonPeer(path, `${domainNames}0`);
  const rows: string[][] = [];
  const overC: number[] = [];
  const overVirsh: number[] = [];

  const compare = async (title: string, ours: () => Promise<number>, theirs: () => Promise<number>, virsh?: number) => {
    const figures = { ours: [] as number[], theirs: [] as number[] };
    for (let turn = 0; turn < turns; turn++) {
      figures.theirs.push(await theirs());
      figures.ours.push(await ours());
    }
    const [mine, c] = [spread(figures.ours).median, spread(figures.theirs).median];
    overC.push(mine / c);
    if (virsh) overVirsh.push(mine / virsh);
    const virshCells = virsh ? [figure(virsh), `${figure(mine / virsh)} x`] : ['', ''];
    rows.push([title, figure(mine), figure(c), `${figure(mine / c)} x`, ...virshCells]);
    console.error(`bench: ${title}: ${figure(mine / c)} x`);
  };

  for (const [uri, type] of [
    ['test:///default', 'test'],
    ['qemu:///system', 'qemu'],
  ] as const) {
    await using connection = await connect({ transport: { kind: 'unix', path }, uri });
    const defined = Array.from({ length: domainCount }, (_, i) =>
      connection.domains.defineXml(domainXml(type, `${domainNames}${i}`)),
    );
    const [first] = await Promise.all(defined);
    for (const [name, { title, call, virsh }] of Object.entries(calls)) {
      const make = call(connection);
      const scenario = `${uri}|${name}`;
      const theirs = (parallel: number) => () => peer.measure(scenario, parallel, seconds);
      // Without the socket `test:` would run inside of virsh, with no daemon.
      const remote = `${type}+unix://${new URL(uri).pathname}?socket=${path}`;
      const processes = virshPerSecond(remote, virsh(`${domainNames}0`));
      await compare(`${type}: ${title}`, () => repeat(make, 1, seconds), theirs(1), processes);
      await compare(
        `${type}: ${title}, ${callers} at a time`,
        () => repeat(make, callers, seconds),
        theirs(callers),
        processes,
      );
    }
    if (type === 'test') {
      await connection.domains.create(first!);
      await compare(
        `${type}: events a second, serial cause`,
        () => repeatEvents(connection, seconds),
        () => peer.measure(`${uri}|events`, 1, seconds),
      );
    }
  }
  await peer.close();
  await hypervisor.close();

  const header = ['calls a second', '@virga/libvirt', 'C client', 'over C', 'virsh', 'over virsh'];
  console.log(table(header, rows));
  const c = spread(overC);
  const processes = spread(overVirsh);
  console.log(
    `\nover the C client: ${figure(c.min)} to ${figure(c.max)} x, median ${figure(c.median)} x (aim: at least ${aims.overC} x)`,
  );
  console.log(
    `over virsh: ${figure(processes.min)} to ${figure(processes.max)} x, median ${figure(processes.median)} x (aim: at least ${aims.overVirsh} x)`,
  );
}

if (inNamespaces(import.meta.filename)) await main();
