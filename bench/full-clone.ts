// How long a volume takes that begins as a full copy of an image, by the size of the image: on XFS and Btrfs, which share the
// blocks of a copy until they are written, and on ext4, which copies them; beside a linked clone there. Each image has the same
// content a GiB. File systems are made in sparse files on loop devices.
//
// usage: script/node --conditions=development bench/full-clone.ts [TURNS, default 5]
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeDiskFile } from '@virga/host-agent/libvirt/pools/disk-files';
import { mountLoop } from '@virga/host-agent/libvirt/testing/loop-file-system';
import { figure, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';

const run = promisify(execFile);
const turns = Number(process.argv[2] ?? 5);
const gibibyte = 1024 ** 3;
const sizesGib = [1, 10, 40];
/** Written into each GiB of an image. */
const contentMib = 32;
/** Room for the largest image and a copy of it. */
const fileSystemMib = 4096;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function main(): Promise<void> {
  const rows: string[][] = [];
  for (const kind of ['xfs', 'btrfs', 'ext4'] as const) {
    const mounted = await mountLoop(kind, fileSystemMib);
    if (typeof mounted === 'string') throw new Error(mounted);
    try {
      for (const sizeGib of sizesGib) {
        const path = join(mounted.path, 'image.qcow2');
        await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, `${sizeGib}G`]);
        const writes = Array.from({ length: sizeGib }, (_, index) => ['-c', `write -q -P 7 ${index}G ${contentMib}M`]);
        await run('qemu-io', ['-f', 'qcow2', ...writes.flat(), path]);
        await run('sync', ['-f', mounted.path]);
        const image = { path, format: 'qcow2' as const, virtualSizeBytes: sizeGib * gibibyte };
        const sizeBytes = image.virtualSizeBytes;
        const times: Record<'full' | 'linked', number[]> = { full: [], linked: [] };
        for (let turn = 0; turn < turns; turn++) {
          for (const clone of ['full', 'linked'] as const) {
            const disk = join(mounted.path, `${clone}-${turn}`);
            const wanted = {
              format: 'qcow2' as const,
              sizeBytes,
              preallocation: 'off' as const,
              source: { image, clone },
            };
            times[clone].push(await timed(() => makeDiskFile(disk, wanted, {})));
            await rm(disk);
          }
        }
        const [full, linked] = [spread(times.full), spread(times.linked)];
        rows.push([
          kind,
          `${sizeGib} GiB`,
          `${sizeGib * contentMib} MiB`,
          ...[full.min, full.median, full.max, linked.median].map(figure),
        ]);
        await rm(path);
      }
    } finally {
      await mounted.close();
    }
  }
  console.log(
    table(['file system', 'image', 'written', 'full: min ms', 'median ms', 'max ms', 'linked: median ms'], rows),
  );
}

if (inNamespaces(import.meta.filename)) await main();
