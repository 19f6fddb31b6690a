// A host of some kind in memory, with a record that outlives the tuner, for tests.
import { HostChanges } from '../../host-changes/host-changes.ts';
import type { HostSystem } from '../../host-system/host-system.ts';
import { type FileTable, fileTable, type KernelRule, memorySystem } from '../../host-system/memory-system.ts';
import type { StepHook } from '../../step-hook.ts';
import { HostTuner } from '../host-tuner.ts';
import { type HostKind, hostKinds } from './host-kinds.ts';

export type TunedHost = {
  files: FileTable;
  /** Programs that were run. */
  ran: string[];
  /** As after a restart of the process. */
  tuner(hook?: StepHook): HostTuner;
  changes(hook?: StepHook): HostChanges;
  /** Every file of the host, but for our record; of the schedulers of a disk the chosen one, as others come with their modules. */
  snapshot(): Record<string, string>;
};

export function tunedHost(
  kind: HostKind,
  kernel?: KernelRule,
  more: Record<string, string> = {},
  run?: HostSystem['run'],
): TunedHost {
  const files = fileTable({ ...hostKinds[kind], ...more });
  const ran: string[] = [];
  const system = memorySystem(files, {
    kernel(path, value) {
      loadModule(files, path, value);
      return kernel?.(path, value) ?? value;
    },
    run:
      run ??
      (async (program) => {
        ran.push(program);
        // As GRUB does: what its configuration says is what it starts.
        const extra =
          /"\$GRUB_CMDLINE_LINUX (.*)"/.exec(files.get('/etc/default/grub.d/90-virga.cfg') ?? '')?.[1] ?? '';
        files.set('/boot/grub/grub.cfg', `linux /vmlinuz root=/dev/sda1 ro quiet ${extra}\n`.replace(/ +\n/, '\n'));
        return '';
      }),
  });
  let record: string | undefined;
  const recordPath = {
    name: 'record',
    read: async () => record,
    write: async (text: string) => {
      record = text;
    },
  };
  const changes = (hook?: StepHook) => new HostChanges({ system, recordPath, hook });
  return {
    files,
    ran,
    changes,
    tuner: (hook) => new HostTuner({ system, changes: changes(hook) }),
    snapshot: () => Object.fromEntries([...files.paths()].sort().map((path) => [path, contentOf(files, path)])),
  };
}

const isScheduler = (path: string): boolean => path.endsWith('/queue/scheduler');

function contentOf(files: FileTable, path: string): string {
  const text = files.get(path)!;
  return isScheduler(path) ? /\[.*\]/.exec(text)![0] : text;
}

/** A scheduler that is a module is loaded as it is chosen, and then offered. */
function loadModule(files: FileTable, path: string, name: string): void {
  const modules = [...files.paths()].find((one) => one.endsWith('/modules.dep'));
  const file = name === 'kyber' ? 'kyber-iosched' : name;
  if (!isScheduler(path) || modules === undefined || !files.get(modules)!.includes(`/${file}.ko`)) return;
  const offered = files.get(path)!.trim();
  if (!offered.includes(name)) files.set(path, `${offered} ${name}\n`);
}
