// Asks a guest, through its agent, to use what it was given: vCPUs, memory, space on its root disk. Many do so by themselves,
// others wait to be told. What comes of it is told in one sentence and fails nothing: the host has done its part.
import { setTimeout as delay } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { type AgentCommand, askGuest } from './guest-agent.ts';
import { guestExec } from './guest-exec.ts';

/** What was plugged in reaches the guest's kernel a moment later. */
const pausesMs = [0, 250, 500, 1_000];
const scriptMs = 30_000;

type Vcpu = { 'logical-id': number; online: boolean };

export function useVcpus(context: AgentContext, id: InstanceId, signal?: AbortSignal): Promise<string | undefined> {
  return noted('use its new vCPUs', signal, async () => {
    const ask = (command: AgentCommand) => askGuest(context, id, command, signal);
    await untilSeen(signal, async () => {
      const vcpus = ((await ask({ execute: 'guest-get-vcpus' })) as Vcpu[]).filter(({ online }) => !online);
      const asked = vcpus.map((vcpu) => ({ 'logical-id': vcpu['logical-id'], online: true }));
      if (asked.length === 0) return false;
      await ask({ execute: 'guest-set-vcpus', arguments: { vcpus: asked } });
      return true;
    });
    return undefined;
  });
}

/**
 * Linux may give memory back that it holds movable pages in, and no other. Its policy auto-movable keeps a sound share of
 * the rest. Memory comes block by block, so what comes later is to be switched on by itself. Prints whether it will be, or how
 * much was switched on.
 * @see https://docs.kernel.org/admin-guide/mm/memory-hotplug.html
 */
const switchOnMemory = `
policy=/sys/module/memory_hotplug/parameters/online_policy
[ ! -w $policy ] || echo auto-movable >$policy
automatic=/sys/devices/system/memory/auto_online_blocks
[ ! -w $automatic ] || { echo online >$automatic && echo automatic; }
count=0
for state in /sys/devices/system/memory/memory*/state; do
  [ "$(cat "$state")" = offline ] || continue
  if echo online >"$state"; then count=$((count + 1)); else failed=1; fi
done
echo $count
exit \${failed:-0}`;

export function useMemory(context: AgentContext, id: InstanceId, signal?: AbortSignal): Promise<string | undefined> {
  return noted('use its new memory', signal, async () => {
    let note: string | undefined;
    await untilSeen(signal, async () => {
      const { exitCode, stdout, stderr } = await runScript(context, id, switchOnMemory, signal);
      if (exitCode !== 0)
        note = `The guest did not take all of its new memory: ${firstLine(stderr) || 'it has not ended in time'}.`;
      const said = stdout.toString().trim();
      return note !== undefined || said.startsWith('automatic') || Number(said) > 0;
    });
    return note;
  });
}

/** The image may have a program of its own for it; others have what cloud images come with. */
const growRoot = `
own=/usr/libexec/virga/grow-root
[ ! -x $own ] || exec $own
device=$(findmnt -n -o SOURCE /) && kind=$(findmnt -n -o FSTYPE /) || exit 1
class=$(readlink -f "/sys/class/block/\${device##*/}")
if [ -f "$class/partition" ]; then
  growpart "/dev/$(basename "$(dirname "$class")")" "$(cat "$class/partition")" || [ $? = 1 ] || exit 1
fi
case $kind in
  ext2|ext3|ext4) resize2fs "$device" ;;
  xfs) xfs_growfs / ;;
  btrfs) btrfs filesystem resize max / ;;
  *) echo "no way is known to grow $kind" >&2; exit 1 ;;
esac`;

export function growFileSystem(
  context: AgentContext,
  id: InstanceId,
  signal?: AbortSignal,
): Promise<string | undefined> {
  return noted('grow its file system', signal, async () => {
    await context.hook('grow-file-system', id);
    const { exitCode, stdout, stderr } = await runScript(context, id, growRoot, signal);
    if (exitCode === 0) return undefined;
    const end = exitCode === null ? 'has not ended in time' : `ended with code ${exitCode}`;
    const said = firstLine(stderr) || firstLine(stdout) || `its program ${end}`;
    return `The guest did not grow its file system: ${said}.`;
  });
}

const runScript = (context: AgentContext, id: InstanceId, script: string, signal: AbortSignal | undefined) =>
  guestExec(context, id, { command: ['sh', '-c', script], waitMs: scriptMs }, { signal });

const firstLine = (output: Buffer): string => output.toString().trim().split('\n').at(0) ?? '';

/** Looks again a few times, since nobody tells when the guest's kernel has seen it. */
async function untilSeen(signal: AbortSignal | undefined, use: () => Promise<boolean>): Promise<void> {
  for (const pauseMs of pausesMs) {
    await delay(pauseMs, undefined, { signal });
    if (await use()) return;
  }
}

async function noted(
  what: string,
  signal: AbortSignal | undefined,
  work: () => Promise<string | undefined>,
): Promise<string | undefined> {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted || !(error instanceof VirgaError)) throw error;
    if (error.code === 'HostUnavailable') throw error;
    return `The guest was not asked to ${what}: ${error.detail}`;
  }
}
