// The screen of an instance: as a picture, and as the VNC connection of QEMU. Owns no viewer. The socket is QEMU's own, in a
// folder that only libvirt's users can enter, which is all the protection that it has, and all that it needs.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import type { ScreenAccess } from '@virga/contract/agent/guest';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import { isPng, readPixmap, writePng } from '../../picture.ts';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';
import { requireRunning } from './require-domain.ts';

/** More than the pixels of two 4K screens, as a pixmap. */
const maxPictureBytes = 64 * 1024 ** 2;
const connectMs = 5_000;
const withoutScreen = ', so it has no screen';
const anyAddress: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

type DisplayAddress = { path: string } | { host: string; port: number };

export function screenAccess(context: AgentContext): ScreenAccess {
  return {
    openDisplay: (id) => openDisplay(context, id),
    screenshot: async (id) => ({ mediaType: 'image/png', bytes: await screenshot(context, id) }),
  };
}

async function openDisplay(context: AgentContext, id: InstanceId): Promise<Duplex> {
  const { name, address } = await context.hypervisor.ask(`look at the screen of ${id}`, async (connection) => {
    const domain = await requireRunning(context, connection, id, withoutScreen);
    return { name: domain.name, address: displayAddress(await connection.domains.xml(domain)) };
  });
  if (address === undefined) throw noScreen(name);
  const socket = connect({ ...address, allowHalfOpen: false });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectMs) });
  } catch (error) {
    socket.destroy();
    throw unreachable(name, error);
  }
  return socket;
}

/** Where the live XML says that VNC is served. */
export function displayAddress(xml: string): DisplayAddress | undefined {
  const devices = childAt(parseXml(xml), 'devices');
  const graphics = childrenOf(devices, 'graphics').find(({ attributes }) => attributes.type === 'vnc');
  const listen = childAt(graphics, 'listen')?.attributes ?? {};
  const path = listen.socket ?? graphics?.attributes.socket;
  if (path !== undefined) return { path };
  const port = Number(graphics?.attributes.port ?? 0);
  if (port <= 0) return undefined;
  const host = listen.address ?? graphics?.attributes.listen ?? '127.0.0.1';
  return { host: anyAddress[host] ?? host, port };
}

function screenshot(context: AgentContext, id: InstanceId): Promise<Buffer> {
  return context.hypervisor.act(`take a picture of the screen of ${id}`, async (connection) => {
    const domain = await requireRunning(context, connection, id, withoutScreen);
    try {
      const { stream } = await connection.domains.screenshot(domain);
      const bytes = await readAll(stream, domain.name);
      return isPng(bytes) ? bytes : writePng(readPixmap(bytes));
    } catch (error) {
      if (isLibvirtError(error, 'OPERATION_INVALID')) await requireRunning(context, connection, id, withoutScreen);
      // There is no video device.
      if (isLibvirtError(error, 'INTERNAL_ERROR', 'INVALID_ARG', 'OPERATION_UNSUPPORTED')) {
        const devices = childAt(parseXml(await connection.domains.xml(domain)), 'devices');
        if (childAt(devices, 'video') === undefined) throw noScreen(domain.name);
      }
      throw error;
    }
  });
}

async function readAll(stream: Readable, name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of stream as AsyncIterable<Buffer>) {
    sizeBytes += part.length;
    if (sizeBytes > maxPictureBytes) {
      throw new VirgaError('PayloadTooLarge', {
        detail: `The picture of the screen of ${name} has more than ${maxPictureBytes / 1024 ** 2} MiB.`,
        action: 'Give its screen a smaller resolution, or look at it with virga vnc.',
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function noScreen(name: string): VirgaError {
  return new VirgaError('Conflict', {
    detail: `${name} has no screen that VNC can show.`,
    action: 'Use its serial console, or add a VNC screen to its definition.',
  });
}

function unreachable(name: string, cause: unknown): VirgaError {
  const isForbidden = ['EACCES', 'EPERM'].includes((cause as NodeJS.ErrnoException).code ?? '');
  return new VirgaError('HostUnavailable', {
    detail: isForbidden
      ? `Virga has no permission to open the VNC socket of ${name}.`
      : `The VNC socket of ${name} does not answer.`,
    action: isForbidden
      ? 'Run Virga as root, or add its user to the groups libvirt and libvirt-qemu, and start it anew.'
      : 'Try again; if it stays so, stop and start the instance.',
    cause,
  });
}
