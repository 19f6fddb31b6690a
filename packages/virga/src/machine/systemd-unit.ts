// The unit that systemd runs the server by, where systemd runs the machine. Only the server on the default folders has one.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { runCommand } from './run-command.ts';

export const unitName = 'virga.service';
const unitPath = `/etc/systemd/system/${unitName}`;

/**
 * @param command the program and its arguments, all absolute
 * @param environment of plain words
 */
export function unitText(command: readonly string[], environment: Record<string, string> = {}): string {
  const variables = Object.entries(environment).map(([name, value]) => `Environment=${name}=${value}\n`);
  return `# Written by script/up, and taken away by script/down --purge.
[Unit]
Description=Virga, a private cloud on KVM
After=network-online.target libvirtd.service virtlogd.service
Wants=network-online.target libvirtd.service

[Service]
Type=exec
${variables.join('')}ExecStart=${command.map(unitWord).join(' ')}
Restart=on-failure
RestartSec=1
# The server stops its database in order. When the server alone dies, the database goes on, and the next server adopts it.
KillMode=process
TimeoutStopSec=90
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a unit's command line: quoted, and without systemd's own meaning of % and $. */
function unitWord(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@:,./=%$-]+$/.test(plain) ? plain : `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

export const unitIsInstalled = () => existsSync(unitPath);
export const unitIsCurrent = (text: string) => unitIsInstalled() && readFileSync(unitPath, 'utf8') === text;

export async function installUnit(text: string): Promise<void> {
  writeFileSync(unitPath, text, { mode: 0o644 });
  await runCommand(['systemctl', 'daemon-reload']);
}

export async function removeUnit(): Promise<void> {
  rmSync(unitPath, { force: true });
  await runCommand(['systemctl', 'daemon-reload']);
}
