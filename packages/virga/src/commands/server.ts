import { defineCommand } from '@virga/cli/command';
import { stateOption } from './state-option.ts';

export const server = defineCommand({
  meta: {
    path: 'server',
    summary: 'Run the server of a cloud on this machine, until it is stopped',
    details:
      'Needs root. script/up starts it in the background, which is what you want unless you look for a fault. What is not ' +
      'given here is taken from settings.json in the state folder. SIGTERM or Ctrl-C stops it together with its database; ' +
      'guests go on. Killed by SIGKILL it loses nothing, and the next one takes over what runs.',
    section: 'This machine',
  },
  args: {},
  options: {
    state: stateOption,
    run: {
      type: 'text',
      value: 'FOLDER',
      summary: 'folder of sockets and process ids; default /run/virga, or run in the state folder',
    },
    listen: { type: 'text', value: 'HOST:PORT', summary: 'where the API listens; default 127.0.0.1:8470' },
    libvirtSocket: { type: 'text', value: 'PATH', summary: 'socket of libvirtd; default /run/libvirt/libvirt-sock' },
    acceleration: {
      type: 'text',
      value: 'HOW',
      choices: ['auto', 'kvm', 'tcg'],
      summary: 'how guests run; auto, the default, tries KVM',
    },
    storage: {
      type: 'text',
      value: 'FOLDER',
      summary: 'where images and disks are; default storage in the state folder',
    },
    logLevel: {
      type: 'text',
      value: 'LEVEL',
      choices: ['debug', 'info', 'warn', 'error'],
      summary: 'what is worth a line; default info',
    },
    log: {
      type: 'text',
      value: 'WHERE',
      choices: ['file', 'both'],
      default: 'both',
      summary: 'the log goes to log/server.log in the state folder, and to stderr too or not',
    },
  },
  examples: [
    { command: 'virga server', explains: 'on the default folders, in the foreground' },
    {
      command: 'virga server --state /srv/cloud --listen 0.0.0.0:9000',
      explains: 'another cloud, reachable from elsewhere',
    },
  ],
  async run({ io, print }, { options }) {
    const [{ resolve }, { foldersOf }, { readServerSettings }, { runServer }, { stopSignal }] = await Promise.all([
      import('node:path'),
      import('../server/folders.ts'),
      import('../server/server-settings.ts'),
      import('../server/run-server.ts'),
      import('../server/stop-signal.ts'),
    ]);
    const { listen, libvirtSocket, acceleration, storage, logLevel } = options;
    const folders = foldersOf(resolve(options.state), options.run === undefined ? undefined : resolve(options.run));
    const settings = readServerSettings(folders, {
      listen,
      libvirtSocket,
      acceleration,
      storage: storage === undefined ? undefined : resolve(storage),
      logLevel,
    });
    await runServer({
      folders,
      settings,
      stream: options.log === 'both' ? io.stderr : undefined,
      onReady: (url) => print.note(`  serving at ${url}`),
      signal: stopSignal(),
    });
    return 0;
  },
});
