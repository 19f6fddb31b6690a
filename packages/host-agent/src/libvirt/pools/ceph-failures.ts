// What it means that a program of Ceph's has failed, by its exit code, which is the error of the kernel's that it names.
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed } from '../../run-command.ts';

const notThereCode = 2;
const inUseCode = 16;

/** Thrown as it is; all else as what a person is told. */
export const isNotThere = (error: unknown): boolean =>
  error instanceof CommandFailed && error.exitCode === notThereCode;

/** It is done already: nothing there, protected or not as it is to be, there. */
const doneCodes = [2, 16, 17, 22];

/**
 * Runs a program that may be run twice. On a busy machine those of Ceph 16 now and then die of their own threads, some when all has
 * been done: then it is run again, which may find it so.
 */
export async function evenIfItCrashes<T>(work: () => Promise<T>, isDone?: () => T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailed) || error.exitCode !== null || wasEnded(error)) throw error;
  }
  try {
    return await work();
  } catch (error) {
    if (isDone && error instanceof CommandFailed && doneCodes.includes(error.exitCode ?? 0)) return isDone();
    throw error;
  }
}

/** By us, because it took too long. */
const wasEnded = ({ cause }: CommandFailed): boolean => (cause as { killed?: boolean } | undefined)?.killed === true;

export function isStillOpen(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  return cause instanceof CommandFailed && cause.exitCode === inUseCode;
}

export const stillOpen = (id: string, cause: unknown): VirgaError =>
  new VirgaError('HostUnavailable', {
    detail: `Ceph says that somebody has the disk ${id} open, as it does for half a minute of a guest that has crashed.`,
    action: 'Try again in a moment; rbd status says who it is.',
    cause,
  });
