// A libvirtd of one test: a session daemon of an unprivileged user, with a folder and settings of its own, beside whatever
// other libvirtd runs. For what must be set when a daemon starts: TLS, authentication. Needs root, to become that user.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Certificate } from './certificates.ts';

const nobody = 65_534;

export interface OwnDaemon extends AsyncDisposable {
  folder: string;
  socketPath: string;
  tlsPort: number;
}

export interface OwnDaemonOptions {
  /** Lines of libvirtd.conf. */
  settings: string[];
  /** Makes it listen for TLS too, on `tlsPort` of 127.0.0.1. */
  tls?: (Certificate & { ca: string }) | undefined;
}

export async function startOwnDaemon({ settings, tls }: OwnDaemonOptions): Promise<OwnDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-daemon-'));
  const tlsPort = await freePort();
  const files: Record<string, string> = tls ? { 'ca.pem': tls.ca, 'server.pem': tls.cert, 'server.key': tls.key } : {};
  const paths = [
    `ca_file = "${folder}/ca.pem"`,
    `cert_file = "${folder}/server.pem"`,
    `key_file = "${folder}/server.key"`,
  ];
  const listening = ['listen_tls = 1', 'listen_addr = "127.0.0.1"', `tls_port = "${tlsPort}"`, ...paths];
  files['libvirtd.conf'] = [
    ...(tls ? listening : ['listen_tls = 0']),
    ...settings,
    'log_outputs = "3:stderr"',
    '',
  ].join('\n');
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), content, { mode: 0o600 });
    await chown(join(folder, name), nobody, nobody);
  }
  await chmod(folder, 0o711);
  await chown(folder, nobody, nobody);
  const place = { HOME: folder, XDG_RUNTIME_DIR: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder };
  const daemon = spawn('libvirtd', ['--listen', '--config', join(folder, 'libvirtd.conf')], {
    uid: nobody,
    gid: nobody,
    cwd: folder,
    env: { PATH: process.env.PATH, ...place },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(daemon, 'exit');
  const words = text(daemon.stderr);
  const stop = async (): Promise<void> => {
    daemon.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true });
  };
  const socketPath = join(folder, 'libvirt/libvirt-sock');
  const deadline = performance.now() + 20_000;
  const address = tls ? { port: tlsPort, host: '127.0.0.1' } : { path: socketPath };
  while (!(await canConnect(address))) {
    if (daemon.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`this libvirtd takes no connections: ${await words}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { folder, socketPath, tlsPort, [Symbol.asyncDispose]: stop };
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function canConnect(address: net.NetConnectOpts): Promise<boolean> {
  const socket = net.connect(address);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
