// libvirtd and virtlogd: used as they are when they run, started by systemd where there is one, else by us, with process
// id files of ours, so that `script/down` knows what is ours to stop.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { runningPid } from '../machine/processes.ts';
import { lastWords, runCommand } from '../machine/run-command.ts';
import { answersOn, hasSystemd, waitForSocket } from '../machine/services.ts';
import type { Phase } from './phase.ts';

const libvirtSocket = '/run/libvirt/libvirt-sock';
const daemons = [
  { name: 'virtlogd', socket: '/run/libvirt/virtlogd-sock' },
  { name: 'libvirtd', socket: libvirtSocket },
] as const;

/** Where it is written down that we started a daemon. */
const pidFile = (runFolder: string, name: string) => join(runFolder, `${name}.pid`);

export function libvirtPhase(runFolder: string): Phase {
  return {
    title: 'libvirt',
    check: async () => {
      if (await answersOn(libvirtSocket)) return [];
      return [hasSystemd() ? 'start libvirtd with systemd, now and at boot' : 'start virtlogd and libvirtd'];
    },
    change: async (report) => {
      if (hasSystemd()) {
        report('systemctl enable --now libvirtd');
        await runCommand(['systemctl', 'enable', '--now', 'virtlogd.socket', 'libvirtd.socket', 'libvirtd.service']);
      } else {
        mkdirSync('/run/libvirt', { recursive: true });
        mkdirSync(runFolder, { recursive: true, mode: 0o755 });
        for (const { name, socket } of daemons) {
          if (await answersOn(socket)) continue;
          report(`starting ${name}`);
          await runCommand([name, '--daemon', '--pid-file', pidFile(runFolder, name)]);
        }
      }
      report('waiting for libvirtd');
      if (!(await waitForSocket(libvirtSocket, 30_000))) throw doesNotAnswer();
    },
  };
}

function doesNotAnswer(): VirgaError {
  const log = '/var/log/libvirt/libvirtd.log';
  const words = existsSync(log) ? ` Its log ends with: ${lastWords(readFileSync(log, 'utf8'))}` : '';
  return new VirgaError('HostUnavailable', {
    detail: `libvirtd does not answer on ${libvirtSocket}.${words}`,
    action: hasSystemd() ? 'See journalctl -u libvirtd.' : 'Run libvirtd in a terminal to see what it says.',
  });
}

/** Stops the daemons that we started, unless a guest runs: somebody may look after it with virsh. */
export function stopLibvirtPhase(runFolder: string): Phase {
  const ours = () => daemons.filter(({ name }) => runningPid(pidFile(runFolder, name), name) !== undefined);
  return {
    title: 'libvirt',
    check: async () => {
      const names = ours().map(({ name }) => name);
      return names.length === 0 || guestsRun() ? [] : [`stop ${names.join(' and ')}, which script/up started`];
    },
    change: async () => {
      for (const { name } of ours().reverse()) {
        const file = pidFile(runFolder, name);
        const pid = runningPid(file, name);
        if (pid !== undefined) process.kill(pid, 'SIGTERM');
        rmSync(file, { force: true });
      }
    },
  };
}

/** True when any guest of libvirt's QEMU driver runs, anybody's. Asks the files that libvirt keeps of running guests. */
function guestsRun(): boolean {
  const folder = '/run/libvirt/qemu';
  return existsSync(folder) && readdirSync(folder).some((file) => file.endsWith('.pid') && !file.startsWith('driver'));
}
