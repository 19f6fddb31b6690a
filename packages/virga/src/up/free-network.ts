// A network that nothing on this machine reaches yet. Pure, but for reading the routes.
import { runCommand } from '../machine/run-command.ts';

/** In this order: rarely used, easy to remember. */
const candidates = [
  ...Array.from({ length: 20 }, (_, index) => `10.${77 + index}.0.0/24`),
  ...Array.from({ length: 20 }, (_, index) => `172.31.${77 + index}.0/24`),
  ...Array.from({ length: 20 }, (_, index) => `192.168.${177 + index}.0/24`),
];

type Range = { first: number; last: number };

/** The first network that overlaps with none of these, or undefined. @param taken such as `10.0.0.0/8` or `192.0.2.1` */
export function chooseFreeNetwork(taken: readonly string[]): string | undefined {
  const ranges = taken.map(rangeOf).filter((range): range is Range => range !== undefined);
  return candidates.find((candidate) => {
    const own = rangeOf(candidate)!;
    return !ranges.some((range) => range.first <= own.last && own.first <= range.last);
  });
}

/** Every IPv4 network that the machine has a route to, but for the default route. */
export async function routedNetworks(): Promise<string[]> {
  const routes = JSON.parse(await runCommand(['ip', '-json', '-4', 'route', 'show', 'table', 'all'])) as {
    dst: string;
  }[];
  return [...new Set(routes.map((route) => route.dst).filter((destination) => destination !== 'default'))];
}

function rangeOf(cidr: string): Range | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(cidr);
  if (!match) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = match.slice(1, 5).map(Number);
  const size = 2 ** (32 - Number(match[5] ?? 32));
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const first = address - (address % size);
  return { first, last: first + size - 1 };
}
