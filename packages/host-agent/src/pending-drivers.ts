// What is told of disks whose driver was changed while their guest runs: QEMU opens a disk once, so the change waits.
import { isDeepStrictEqual } from 'node:util';
import type { DesiredInstance } from '@virga/contract/agent/desired';

/** @param before what was applied to a guest that goes on running */
export function pendingDriverNotes(before: DesiredInstance, { rootDisk, volumes }: DesiredInstance): string[] {
  const note = (what: string) => `The driver of ${what} changes when the instance is started next.`;
  const later = volumes.filter(({ id, driver }) => {
    const was = before.volumes.find((one) => one.id === id);
    return was !== undefined && !isDeepStrictEqual(was.driver, driver);
  });
  return [
    ...(isDeepStrictEqual(before.rootDisk.driver, rootDisk.driver) ? [] : [note('the root disk')]),
    ...later.map(({ target }) => note(`the volume ${target}`)),
  ];
}
