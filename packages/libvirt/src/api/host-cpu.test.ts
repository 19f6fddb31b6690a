// CPU models, computed by libvirt and compared with what virsh gets for the same question.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Connection } from '../connection/connect.ts';
import { connectForTest } from '../testing/daemon.ts';

let connection: Connection;
let folder: string;
before(async () => {
  connection = await connectForTest('qemu:///system');
  folder = await mkdtemp(join(tmpdir(), 'virga-host-cpu-'));
});
after(async () => {
  await connection.close();
  await rm(folder, { recursive: true });
});

const choice = { arch: 'x86_64', machine: 'q35', virtType: 'qemu' };
const asked = ['--arch', choice.arch, '--machine', choice.machine, '--virttype', choice.virtType];
const virsh = (...words: string[]) => execFileSync('virsh', words, { encoding: 'utf8' }).trim();

async function fileOf(xml: string): Promise<string> {
  const path = join(folder, 'cpu.xml');
  await writeFile(path, xml);
  return path;
}

const older = "<cpu mode='custom' match='exact'><model fallback='forbid'>Nehalem</model></cpu>";
const newer = "<cpu mode='custom' match='exact'><model fallback='forbid'>Haswell-noTSX</model></cpu>";

test('what hosts of two generations have in common is what virsh gets, as the hypervisor gives it and without it', async () => {
  const { node } = connection;
  const path = await fileOf(`${older}\n${newer}`);
  const given = await node.baselineCpu([older, newer], choice);
  assert.match(given, /<model[^>]*>Nehalem</);
  assert.equal(given.trim(), virsh('hypervisor-cpu-baseline', ...asked, path));
  const hosts = ['Nehalem', 'Haswell-noTSX'].map((name) => `<cpu><arch>x86_64</arch><model>${name}</model></cpu>`);
  const plain = await node.baselineHostCpu(hosts);
  assert.match(plain, /<model[^>]*>Nehalem</);
  assert.equal(plain.trim(), virsh('cpu-baseline', await fileOf(hosts.join('\n'))));
  const expanded = await node.baselineHostCpu(hosts, { expandFeatures: true });
  assert.ok(expanded.length > plain.length);
  await assert.rejects(node.baselineHostCpu(['<cpu/>']), { name: 'LibvirtError' });
});

test('a CPU that the host cannot give is told from one that it can', async () => {
  const { node } = connection;
  const capabilities = await node.capabilities();
  const own = /<host>[\s\S]*?(<cpu>[\s\S]*?<\/cpu>)/.exec(capabilities)?.[1];
  assert.ok(own);
  assert.equal(await node.compareHostCpu(own), 'identical');
  const other = "<cpu><arch>x86_64</arch><model>Nehalem</model><vendor>Intel</vendor><feature name='3dnow'/></cpu>";
  assert.equal(await node.compareHostCpu(other), 'incompatible');
  assert.equal(await node.compareCpu("<cpu match='exact'><model>qemu64</model></cpu>", choice), 'superset');
});
