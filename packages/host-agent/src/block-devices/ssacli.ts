// Reads what ssacli, and its older names hpssacli and hpacucli, say of Smart Array controllers and their logical drives, in
// words. Pure.

import { type ControllerAnswer, diskCacheOf, fieldOf, type LogicalDrive } from './controller-answer.ts';

/** @param text of `ctrl all show config detail` */
export function readSsacli(text: string): LogicalDrive[] {
  const found: LogicalDrive[] = [];
  // A controller begins at the margin; its logical drives are further in.
  for (const controller of text.split(/^(?=\S.* in Slot )/m)) {
    const title = /^(\S.*? in Slot \S+)/.exec(controller)?.[1];
    if (title === undefined) continue;
    const [head = '', ...drives] = controller.split(/^\s+Logical Drive: /m);
    const own = head.split(/^\s+Array: /m)[0] ?? head;
    const battery = fieldOf(own, 'Battery/Capacitor Status');
    const cacheStatus = fieldOf(own, 'Cache Status') ?? 'none';
    const driveCache = fieldOf(own, 'Drive Write Cache') ?? 'not said';
    const withoutBattery = fieldOf(own, 'No-Battery Write Cache') === 'Enabled';
    for (const drive of drives) {
      const device = /^\/dev\/(\S+)$/.exec(fieldOf(drive, 'Disk Name') ?? '')?.[1];
      if (device === undefined) continue;
      const caching = fieldOf(drive, 'Caching') ?? 'not said';
      // With a bad battery it writes through, unless it was told not to care.
      const writeBack = caching === 'Enabled' && (cacheStatus === 'OK' || withoutBattery);
      const read = (value: string) => ({ from: `ssacli ${title}`, value });
      found.push({
        device,
        writeBack,
        battery: batteryOf(battery),
        diskCache: diskCacheOf(driveCache),
        read: [
          read(`caching ${caching}`),
          read(`cache status ${cacheStatus}`),
          read(`battery ${battery ?? 'none'}`),
          read(`drive write cache ${driveCache}`),
        ],
      });
    }
  }
  return found;
}

function batteryOf(status: string | undefined): ControllerAnswer['battery'] {
  if (status === undefined) return 'none';
  return status === 'OK' ? 'good' : 'bad';
}
