// A system is installed from a disc, as a person does it with the command line on a real host, and virsh sees it.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tinyGuestDisc, tinyInstallerDisc } from '@virga/host-agent/contract-suite/tiny-disc';
import { greeting } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const discs = { installer: tinyInstallerDisc(), tools: tinyGuestDisc() };
  for (const [name, content] of Object.entries(discs)) {
    const path = join(cloud.folder, `${name}.iso`);
    writeFileSync(path, content, { mode: 0o644 });
    await cloud.done(`images register ${path} --name ${name} --kind iso --wait`);
  }
  await cloud.done('networks create default --cidr 10.203.0.0/24 --wait');
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const discOf = async (domain: string) =>
  (await output('virsh', '-c', 'qemu:///system', 'domblklist', domain, '--details'))
    .split('\n')
    .filter((line) => / cdrom /.test(line))
    .map((line) => line.trim().split(/ +/)[3]);
const boots = async (name: string) => (await cloud.done(`log ${name}`)).split(greeting.trim()).length - 1;
const booted = (name: string, times: number) =>
  until(`${name} has booted ${times} times`, async () => (await boots(name)) >= times);
const refusal = async (line: string) => {
  const { exit, stderr } = await cloud.cli(line.split(' '));
  return `${exit}: ${stderr}`;
};

test('a system is installed from a disc, starts from the disk, and discs come and go', async () => {
  const launched = await cloud.done('launch desk --iso installer --type tiny --disk 1 --wait');
  assert.match(launched, /^instance desk: running/);
  await booted('desk', 1);
  const { id, domainName, imageName } = await cloud.json('show desk');
  assert.equal(imageName, null);
  const [installer, tools] = (await cloud.json('images')).map((image: { id: string }) => image.id);
  assert.match((await discOf(domainName)).join(), new RegExp(installer));

  assert.match(await cloud.done('cdrom insert desk tools --wait'), /tools is in its drive/);
  assert.match((await discOf(domainName)).join(), new RegExp(tools));
  assert.match(await refusal('images delete tools --yes'), /^4: .*in the CD-ROM drive of desk/s);
  await cloud.done('cdrom eject desk --wait');
  assert.deepEqual(await discOf(domainName), ['-']);
  assert.equal(await boots('desk'), 1);

  assert.match(await refusal('hardware set desk --watchdog reset'), /^4: .*--restart/s);
  await cloud.done('hardware set desk --watchdog reset --hardware emulated --boot disk --restart --wait');
  await booted('desk', 2);
  const xml = await output('virsh', '-c', 'qemu:///system', 'dumpxml', domainName);
  assert.match(xml, /<watchdog model='i6300esb' action='reset'>/);
  assert.match(xml, /<target dev='sda' bus='sata'\/>/);
  assert.match(await cloud.done('drift desk'), /Nothing was changed beside Virga/);
  await cloud.done('delete desk --yes --wait');
  assert.doesNotMatch(await output('virsh', '-c', 'qemu:///system', 'list', '--all'), new RegExp(id));
  await cloud.done('images delete tools --yes --wait');
});

test('a machine with Secure Boot and a TPM stops, starts and goes, and its own devices are nobody’s change', async () => {
  const chosen = '--firmware uefi-secure --tpm --hardware emulated --watchdog pause';
  await cloud.done(`launch vault --iso installer --type tiny ${chosen} --wait`);
  const { domainName } = await cloud.json('show vault');
  const uuid = (await output('virsh', '-c', 'qemu:///system', 'domuuid', domainName)).trim();
  assert.match(await cloud.done('show vault'), /emulated, uefi-secure, TPM 2\.0, watchdog \(pause\)/);
  await cloud.done('cdrom eject vault --wait');
  await cloud.done('destroy vault --wait');
  await cloud.done('start vault --wait');
  assert.match(await cloud.done('drift vault'), /Nothing was changed beside Virga/);
  assert.ok(existsSync(`/var/lib/libvirt/swtpm/${uuid}`));
  await cloud.done('delete vault --yes --wait');
  assert.ok(!existsSync(`/var/lib/libvirt/swtpm/${uuid}`));
});

test('what makes no sense is refused with what to do, and nothing comes of it', async () => {
  assert.match(await refusal('launch a --image installer --type tiny --no-key'), /^2: .*virga launch --iso installer/s);
  assert.match(await refusal('launch a --iso installr --type tiny'), /^3: .*Did you mean installer\?/s);
  assert.match(
    await refusal('launch a --iso installer --type tiny --hardware legacy --firmware uefi-secure'),
    /^2: .*chipset/s,
  );
  assert.deepEqual(await cloud.json('list'), []);
});
