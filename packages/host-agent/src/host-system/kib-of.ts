/** Of files such as meminfo and smaps: the KiB of a line such as `MemTotal:  1024 kB`, of a node's `Node 0 MemTotal: 1024 kB`. */
export function kibOf(text: string, name: string): number | undefined {
  const found = new RegExp(`^(?:Node \\d+ )?${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  return found ? Number(found[1]) : undefined;
}
