// How long a linked clone of an image takes, as the host agent makes it, of an image of 1 GiB and of one of 40 GiB with the same
// content a GiB; beside `qemu-img create` as people type it, and beside a copy of the image, turn by turn.
//
// usage: script/node --conditions=development bench/clone.ts [TURNS, default 15]
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeDisk } from '@virga/host-agent/libvirt/instances/root-disk';
import { figure, spread, table } from './figures.ts';

const run = promisify(execFile);
const turns = Number(process.argv[2] ?? 15);
const gibibyte = 1024 ** 3;
const sizesGib = [1, 40];
/** Written into each GiB of an image, so that the larger one has more to copy and more tables. */
const contentMib = 16;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

const folder = await mkdtemp(join(tmpdir(), 'virga-bench-clone.'));
try {
  const medians = new Map<number, number>();
  const rows: string[][] = [];
  for (const sizeGib of sizesGib) {
    const path = join(folder, `image-${sizeGib}.qcow2`);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, `${sizeGib}G`]);
    const writes = Array.from({ length: sizeGib }, (_, index) => ['-c', `write -q ${index}G ${contentMib}M`]).flat();
    await run('qemu-io', ['-f', 'qcow2', ...writes, path]);
    const base = { path, format: 'qcow2' as const, virtualSizeBytes: sizeGib * gibibyte };
    const ours: number[] = [];
    const typed: number[] = [];
    const copied: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      const disk = join(folder, `disk-${turn}`);
      ours.push(await timed(() => makeDisk(disk, base, base.virtualSizeBytes)));
      const args = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', path, `${disk}.typed`];
      typed.push(await timed(() => run('qemu-img', args)));
      copied.push(await timed(() => copyFile(path, `${disk}.copy`)));
      await Promise.all([disk, `${disk}.typed`, `${disk}.copy`].map((file) => rm(file)));
    }
    const { min, median, max } = spread(ours);
    medians.set(sizeGib, median);
    const [byHand, copy] = [spread(typed).median, spread(copied).median];
    rows.push([`${sizeGib} GiB`, ...[min, median, max, byHand, copy, median / byHand, median / copy].map(figure)]);
  }
  const header = ['image', 'min ms', 'median ms', 'max ms', 'qemu-img create', 'copy', 'over qemu-img', 'over copy'];
  console.log(table(header, rows));
  const [small = 1, large = 1] = sizesGib.map((sizeGib) => medians.get(sizeGib));
  console.log(`\n40 GiB over 1 GiB: ${figure(large / small)} x (aim: 1 x, and below 150 ms)`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
