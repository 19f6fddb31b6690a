// How long a launch takes. First the control plane's share: from the API call to the running domain, beside libvirt's own
// define and start of a domain of the same XML. Then the whole: `virga launch --wait=ssh` beside virt-install with the same
// image, until the SSH server greets. Pair by pair, so that both meet the same machine.
//
// usage: script/node --conditions=development bench/launch.ts [PAIRS, default 5] [TYPE, default small]
import { join } from 'node:path';
import { connect } from '@virga/libvirt/connection/connect';
import { figure, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';
import { BenchCloud } from './launch/cloud.ts';
import { copyDomain, createTwin, removeTwin } from './launch/same-xml.ts';
import { VirtInstall } from './launch/virt-install.ts';

const aims = { share: 1.25, wholeLaunch: 1 };

type Figures = { ours: number[]; theirs: number[] };

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

async function main(): Promise<void> {
  const [pairs = 5, type = 'small'] = [process.argv[2] ? Number(process.argv[2]) : undefined, process.argv[3]];
  const folder = process.env.VIRGA_TEST_NAMESPACE ?? '';
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  if (!image) throw new Error('VIRGA_TEST_STARTER_IMAGE names no image: run this with script/bench launch.');
  console.error('bench: making a cloud');
  const cloud = await BenchCloud.start(image, folder);
  await using connection = await connect();

  /** Seconds from the start of some work until libvirt says that a domain has started. */
  async function secondsUntilStarted(work: () => Promise<unknown>): Promise<number> {
    const started = Promise.withResolvers<void>();
    await using _ = await connection.domains.on('lifecycle', ({ event }) => event === 'started' && started.resolve());
    const late = setTimeout(() => started.reject(new Error('no domain has started within a minute')), 60_000);
    return await secondsOf(() => Promise.all([work(), started.promise])).finally(() => clearTimeout(late));
  }

  async function launchUntilRunning(name: string) {
    let finished: Promise<void> | undefined;
    const seconds = await secondsUntilStarted(async () => {
      const { operationId } = await cloud.request({ name, type });
      finished = cloud.follow(operationId);
      finished.catch(() => undefined);
    });
    await finished;
    return { seconds, instance: await cloud.byName(name) };
  }

  const first = await launchUntilRunning('bench-first');
  const domain = await connection.domains.lookupByName(first.instance.domainName);
  const twin = await copyDomain(connection, domain, join(folder, 'twin'));
  await cloud.delete(first.instance);

  const share: Figures = { ours: [], theirs: [] };
  for (let pair = 0; pair < pairs; pair++) {
    let made = domain;
    const theirs = await secondsUntilStarted(async () => {
      made = await createTwin(connection, twin);
    });
    await removeTwin(connection, made);
    const { seconds, instance } = await launchUntilRunning(`bench-${pair}`);
    await cloud.delete(instance);
    share.theirs.push(theirs);
    share.ours.push(seconds);
    console.error(`bench: running: virga ${figure(seconds)} s, libvirt ${figure(theirs)} s`);
  }

  const [host] = (await cloud.client.listHosts({ query: {} })).items;
  const acceleration = host?.facts?.acceleration.mode ?? 'tcg';
  const peer = await VirtInstall.prepare(connection, join(folder, 'virt-install'), image);
  const { vcpus, memoryMib, diskBytes } = first.instance;
  const whole: Figures = { ours: [], theirs: [] };
  for (let pair = 0; pair < pairs; pair++) {
    const name = `bench-ssh-${pair}`;
    const theirs = await secondsOf(() => peer.launch(`${name}-peer`, { vcpus, memoryMib, diskBytes, acceleration }));
    await peer.remove(`${name}-peer`);
    const ours = await secondsOf(() => cloud.launchFromCommandLine({ name, type }));
    await cloud.delete(await cloud.byName(name));
    whole.theirs.push(theirs);
    whole.ours.push(ours);
    console.error(`bench: SSH: virga ${figure(ours)} s, virt-install ${figure(theirs)} s`);
  }
  cloud.stop();

  const row = (title: string, values: readonly number[]) => {
    const { min, median, max } = spread(values);
    return [title, figure(min), figure(median), figure(max)];
  };
  const rows = [
    row('API call to domain running', share.ours),
    row("libvirt's own define and start", share.theirs),
    row('virga launch --wait=ssh', whole.ours),
    row('virt-install to SSH', whole.theirs),
  ];
  console.log(`${pairs} pairs, type ${type}, ${acceleration}\n`);
  console.log(table(['seconds', 'min', 'median', 'max'], rows));
  const ratio = ({ ours, theirs }: Figures) => spread(ours).median / spread(theirs).median;
  console.log(`\ncontrol plane's share: ${figure(ratio(share))} x (aim: at most ${aims.share} x)`);
  console.log(`launch to SSH, cold: ${figure(ratio(whole))} x (aim: at most ${aims.wholeLaunch} x)`);
}

if (inNamespaces(import.meta.filename)) await main();
