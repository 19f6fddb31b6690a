// A kernel to prove KVM with: that of the starter image, which many machines have no equal of in /boot (containers, and
// machines that boot from the network). Comes before the server, so that its first look at the host finds it.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { checkoutPath } from '../machine/checkout.ts';
import { runCommand } from '../machine/run-command.ts';
import { type Folders, probeKernel } from '../server/folders.ts';
import type { Phase } from './phase.ts';
import { starterFile } from './starter-file.ts';

/** @param given an image file to take it from instead of building one */
export function kernelPhase(folders: Folders, given: string | undefined): Phase {
  const path = probeKernel(folders);
  return {
    title: 'probe of KVM',
    check: async () =>
      existsSync(path) ? [] : ['take the kernel of the starter image, to prove with that KVM can boot Linux'],
    change: async (report) => {
      const image = await starterFile(folders, given, report);
      report('taking the kernel out of the image');
      await runCommand([checkoutPath('images', 'disk', 'extract-kernel'), image, dirname(path)]);
    },
  };
}
