// Memory of a domain in a file that others can map too. libvirt has no words for a file of one's own choosing, nor for a guest
// that waits for the state of its devices, so these are QEMU's. Pure.
// @see QEMU, docs/devel/migration.rst: x-ignore-shared
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { element } from '../xml.ts';

export type WarmStart = {
  /** Template: written through, as it is what copies will see. Copy: read, and what it changes is its own. */
  memoryFile: string;
  /** It waits for the state of its devices. */
  isCopy: boolean;
  /** Told to the guest's kernel, which draws new random numbers from then on, if it has the driver. */
  genId: string;
};

export const qemuNamespace = { 'xmlns:qemu': 'http://libvirt.org/schemas/domain/qemu/1.0' };

export function sharedMemory(
  { memoryMib }: Pick<DesiredInstance, 'memoryMib'>,
  { memoryFile, isCopy }: WarmStart,
): string {
  // A comma ends a value of QEMU's options; two are one.
  const path = memoryFile.replaceAll(',', ',,');
  const share = isCopy ? 'off' : 'on';
  const words = [
    ...['-object', `memory-backend-file,id=template,size=${memoryMib}M,mem-path=${path},share=${share},merge=off`],
    ...['-machine', 'memory-backend=template'],
    ...(isCopy ? ['-incoming', 'defer'] : []),
  ];
  return element('qemu:commandline', {}, ...words.map((value) => element('qemu:arg', { value })));
}
