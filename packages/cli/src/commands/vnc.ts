import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../command.ts';
import { interruptedExit } from '../interrupt.ts';
import { findInstance } from '../lookup.ts';
import { startVncRelay } from '../streams/vnc-relay.ts';

/** How each viewer wants to be told where. */
const viewers: Record<string, (address: string) => string> = {
  'remote-viewer': (address) => address,
  vncviewer: (address) => address.replace('vnc://', '').replace(/:(\d+)$/, '::$1'),
};

export const vnc = defineCommand({
  meta: {
    path: 'vnc',
    summary: 'Show the screen of an instance in a VNC viewer',
    details:
      'Listens where only this machine can connect, prints the address for a viewer, and passes what it says to the ' +
      'instance, until Ctrl-C. One viewer at a time. Nobody asks for a password: whoever can log in to this machine can ' +
      'connect; with --socket only you can.',
    section: 'Consoles and guests',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    port: {
      type: 'integer',
      value: 'PORT',
      summary: 'port to listen on; default a free one',
      minimum: 1,
      maximum: 65_535,
    },
    socket: { type: 'text', value: 'PATH', summary: 'listen on a unix socket instead', complete: 'file' },
    viewer: { type: 'flag', summary: 'start remote-viewer or vncviewer, and end with it' },
    once: { type: 'flag', summary: 'end when the first viewer has left' },
    ticket: {
      type: 'flag',
      summary: 'only print the address of a WebSocket that a viewer in a browser can open, once, within 30 seconds',
    },
  },
  examples: [
    { command: 'virga vnc web', explains: 'then open the address in any viewer' },
    { command: 'virga vnc web --viewer', explains: 'in a viewer of this machine' },
    { command: 'virga vnc web --ticket', explains: 'for noVNC' },
  ],
  async run(context, { args, options }) {
    const [client, { server }] = await Promise.all([context.client(), context.connection()]);
    const instance = await findInstance(client, args.instance);
    if (options.ticket) {
      const ticket = await client.createConsoleTicket({ params: { id: instance.id }, body: { kind: 'vnc' } });
      const url = new URL(ticket.path, server);
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
      await context.print.result(ticket, [url.href], [url.href]);
      return 0;
    }
    const viewer = options.viewer ? await findViewer(context.io.env) : undefined;
    await using relay = await startVncRelay({
      client,
      server,
      instance,
      port: options.port,
      socketPath: options.socket,
    });
    await context.print.item({ address: relay.address }, relay.address);
    const signal = context.endless();
    const interrupted = once(signal, 'abort').then(() => interruptedExit);
    if (viewer !== undefined) {
      const child = spawn(viewer.program, [viewer.address(relay.address)], { stdio: 'ignore', env: context.io.env });
      return Promise.race([once(child, 'exit').then(() => 0), interrupted.finally(() => child.kill())]);
    }
    context.print.note(`Open it in a VNC viewer to see ${instance.name}. Ctrl-C ends it.`);
    for (;;) {
      if (signal.aborted) return interruptedExit;
      const left = await Promise.race([relay.nextEnd().then(() => undefined), interrupted]);
      if (left !== undefined) return left;
      if (options.once) return 0;
    }
  },
});

async function findViewer(env: NodeJS.ProcessEnv): Promise<{ program: string; address: (address: string) => string }> {
  for (const [name, address] of Object.entries(viewers)) {
    for (const folder of (env.PATH ?? '').split(delimiter)) {
      const program = join(folder, name);
      const isThere = await access(program, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (isThere) return { program, address };
    }
  }
  throw new VirgaError('InvalidArgument', {
    detail: `None of the viewers that Virga knows is installed: ${Object.keys(viewers).join(', ')}.`,
    action: 'Install one (Debian: virt-viewer or tigervnc-viewer), or leave --viewer out and use another.',
  });
}
