// The frame around every message: four bytes of length, then six header words, then the payload. Owns their numbers and
// limits (libvirt's virnetprotocol). Fails with ProtocolError on a header no libvirt would send.
import { ProtocolError } from '../errors.ts';
import type { XdrReader } from '../xdr/reader.ts';
import type { XdrWriter } from '../xdr/writer.ts';

export const remoteProgram = 0x20008086;
export const qemuProgram = 0x20008087;
export const keepaliveProgram = 0x6b656570;
export const protocolVersion = 1;

/** The length word counts itself. */
export const lengthBytes = 4;
export const headerBytes = 24;
export const maxFrameBytes = 32 * 1024 * 1024 + lengthBytes;
export const minFrameBytes = lengthBytes + headerBytes;
/** What one stream packet carries; every libvirt since 0.10 accepts it. */
export const maxStreamPayloadBytes = 262_120;
export const maxStringBytes = 4 * 1024 * 1024;

export const messageType = { call: 0, reply: 1, event: 2, stream: 3, streamHole: 6 } as const;
export const messageStatus = { ok: 0, error: 1, continue: 2 } as const;

export interface Header {
  program: number;
  procedure: number;
  type: number;
  serial: number;
  status: number;
}

/** Reads a header into `into`. @throws ProtocolError wrong version, or a type or status a server never sends */
export function readHeader(reader: XdrReader, into: Header): void {
  into.program = reader.uint();
  const version = reader.uint();
  into.procedure = reader.int();
  into.type = reader.uint();
  into.serial = reader.uint();
  into.status = reader.uint();
  if (version !== protocolVersion) throw new ProtocolError(`the peer speaks protocol version ${version}, not 1`);
  if (into.status > messageStatus.continue) throw new ProtocolError(`message status ${into.status} does not exist`);
}

/** Starts a frame; returns the mark that `endFrame` needs. */
export function beginFrame(
  writer: XdrWriter,
  program: number,
  procedure: number,
  type: number,
  serial: number,
  status: number,
): number {
  const mark = writer.length;
  writer.uint(0);
  writer.uint(program);
  writer.uint(protocolVersion);
  writer.int(procedure);
  writer.uint(type);
  writer.uint(serial);
  writer.uint(status);
  return mark;
}

/** Writes the length of the frame that began at `mark`. */
export function endFrame(writer: XdrWriter, mark: number): void {
  writer.patchUint(mark, writer.length - mark);
}
