// Reads what storcli, and Dell's perccli, say in JSON of logical drives and of the batteries of their controllers. Pure.

import { type ControllerAnswer, diskCacheOf, type LogicalDrive } from './controller-answer.ts';

type Response = { controller: number; data: Record<string, unknown> };

/**
 * @param drives of `/call/vall show all J`
 * @param controllers of `/call show all J`
 * @returns nothing when it is not understood
 */
export function readStorcli(drives: string, controllers: string): LogicalDrive[] {
  const batteries = new Map(responsesOf(controllers).map(({ controller, data }) => [controller, batteryOf(data)]));
  return responsesOf(drives).flatMap(({ controller, data }) =>
    Object.entries(data).flatMap(([key, value]) => {
      const number = /^\/c\d+\/v(\d+)$/.exec(key)?.[1];
      const properties = data[`VD${number} Properties`];
      if (number === undefined || !Array.isArray(value) || !isRecord(properties)) return [];
      const device = /^\/dev\/(\S+)$/.exec(String(properties['OS Drive Name'] ?? ''))?.[1];
      if (device === undefined) return [];
      const cache = String((value[0] as Record<string, unknown> | undefined)?.Cache ?? '');
      const policy = String(properties['Disk Cache Policy'] ?? '');
      const battery = batteries.get(controller) ?? { state: 'none', text: 'none' };
      const read = (what: string, text: string) => ({
        from: `storcli /c${controller}/v${number}`,
        value: `${what} ${text}`,
      });
      return [
        {
          device,
          // Such as RWBD or NRAWBD: AWB is kept on also when the battery is bad, WT writes through.
          writeBack: /WB/.test(cache),
          battery: battery.state,
          diskCache: diskCacheOf(policy),
          read: [
            read('cache', cache),
            read('disk cache policy', policy),
            { from: `storcli /c${controller}`, value: `battery ${battery.text}` },
          ],
        },
      ];
    }),
  );
}

function batteryOf(data: Record<string, unknown>): { state: ControllerAnswer['battery']; text: string } {
  for (const key of ['Cachevault_Info', 'BBU_Info']) {
    const list = data[key];
    const first = Array.isArray(list) ? (list[0] as Record<string, unknown> | undefined) : undefined;
    if (first?.State === undefined) continue;
    const text = String(first.State);
    return { state: /^(optimal|opt|optl)$/i.test(text) ? 'good' : 'bad', text };
  }
  return { state: 'none', text: 'none' };
}

function responsesOf(text: string): Response[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  const list = isRecord(parsed) && Array.isArray(parsed.Controllers) ? parsed.Controllers : [];
  return list.flatMap((entry, index) => {
    if (!isRecord(entry) || !isRecord(entry['Response Data'])) return [];
    const status = entry['Command Status'];
    const controller = isRecord(status) ? Number(status.Controller ?? index) : index;
    return [{ controller, data: entry['Response Data'] }];
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
