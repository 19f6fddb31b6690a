// Which programs run on the host, by the name that the kernel keeps of them (15 characters). Reads; owns nothing.
import type { Look } from './host-check.ts';

/** The first process of one of these names. */
export async function findProcess(
  look: Look,
  names: readonly string[],
): Promise<{ pid: string; name: string } | undefined> {
  const pids = (await look.system.list('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => ({ pid, name: (await look.system.read(`/proc/${pid}/comm`))?.trim() ?? '' })),
  );
  const process = found.find(({ name }) => names.includes(name));
  look.note(`/proc/*/comm: ${names.join(', ')}`, process ? `${process.name} (${process.pid})` : null);
  return process;
}
