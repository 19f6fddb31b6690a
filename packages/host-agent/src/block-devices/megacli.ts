// Reads what MegaCli says of logical drives and batteries, in words. Pure.
import { type ControllerAnswer, diskCacheOf, fieldOf, type LogicalDrive } from './controller-answer.ts';

/**
 * @param drives of `-LDInfo -Lall -aALL`
 * @param batteries of `-AdpBbuCmd -GetBbuStatus -aALL`
 * @param deviceAt what the kernel calls a target of an adapter
 */
export function readMegacli(
  drives: string,
  batteries: string,
  deviceAt: (adapter: number, target: number) => string | undefined,
): LogicalDrive[] {
  const found: LogicalDrive[] = [];
  for (const [adapter, text] of sections(drives, /^Adapter (\d+) -- Virtual Drive Information/m)) {
    for (const [target, drive] of sections(text, /^Virtual (?:Drive|Disk): \d+ \(Target Id: (\d+)\)/m)) {
      const device = deviceAt(adapter, target);
      const cache = fieldOf(drive, 'Current Cache Policy');
      if (device === undefined || cache === undefined) continue;
      const policy = fieldOf(drive, 'Disk Cache Policy') ?? '';
      const battery = batteryOf(batteries, adapter);
      const read = (value: string) => ({ from: `megacli adapter ${adapter} target ${target}`, value });
      found.push({
        device,
        writeBack: cache.startsWith('WriteBack'),
        battery: battery.state,
        diskCache: diskCacheOf(policy),
        read: [read(`cache ${cache}`), read(`disk cache policy ${policy}`), read(`battery ${battery.text}`)],
      });
    }
  }
  return found;
}

function batteryOf(text: string, adapter: number): { state: ControllerAnswer['battery']; text: string } {
  const status = sections(text, /^BBU status for Adapter: (\d+)/m).find(([number]) => number === adapter)?.[1];
  if (status === undefined) return { state: 'none', text: 'none' };
  const state = fieldOf(status, 'Battery State') ?? '';
  const bad = [
    'Battery Replacement required',
    'Battery Pack Missing',
    'Pack is about to fail & should be replaced',
  ].find((name) => fieldOf(status, name) === 'Yes');
  // Older ones name no state, and say in single words what is wrong.
  const isGood =
    bad === undefined &&
    (state === 'Optimal' || state === 'Operational' || (state === '' && fieldOf(status, 'isSOHGood') === 'Yes'));
  return { state: isGood ? 'good' : 'bad', text: bad ?? (state === '' ? 'of no state' : state) };
}

/** Parts of a text, each from a heading with a number up to the next one. */
function sections(text: string, heading: RegExp): [number, string][] {
  const parts = text.split(new RegExp(heading, 'm'));
  const found: [number, string][] = [];
  for (let index = 1; index + 1 < parts.length; index += 2) found.push([Number(parts[index]), parts[index + 1]!]);
  return found;
}
