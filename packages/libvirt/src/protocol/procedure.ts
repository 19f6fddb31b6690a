// How a remote procedure is declared: its program and number, what it takes, what it gives back. Numbers, field orders
// and limits are libvirt's wire ABI (remote_protocol, qemu_protocol), which only ever grows.

import { qemuProgram, remoteProgram } from '../wire/message.ts';
import { nothing, type Type } from '../xdr/schema.ts';

export interface Procedure<A, R> {
  readonly name: string;
  readonly program: number;
  readonly number: number;
  readonly args: Type<A>;
  readonly returns: Type<R>;
  /** Works on gigabytes or waits for a guest, so it gets the long default deadline. */
  readonly slow: boolean;
}

/** A procedure of libvirt's main program. */
export function remote<A, R = void>(
  number: number,
  name: string,
  args: Type<A>,
  returns: Type<R> = nothing as Type<R>,
): Procedure<A, R> {
  return { name, program: remoteProgram, number, args, returns, slow: false };
}

/** As {@link remote}, for calls that may rightly take minutes. */
export function slowRemote<A, R = void>(
  number: number,
  name: string,
  args: Type<A>,
  returns: Type<R> = nothing as Type<R>,
): Procedure<A, R> {
  return { ...remote(number, name, args, returns), slow: true };
}

/** A procedure of the program for QEMU alone. */
export function qemu<A, R = void>(
  number: number,
  name: string,
  args: Type<A>,
  returns: Type<R> = nothing as Type<R>,
): Procedure<A, R> {
  return { name, program: qemuProgram, number, args, returns, slow: true };
}
