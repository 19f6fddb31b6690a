// What it means that a program of Ceph's has failed, by its exit code, which is the error of the kernel's that it names.
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed } from '../../run-command.ts';

const notThereCode = 2;
const inUseCode = 16;

/** Thrown as it is; all else as what a person is told. */
export const isNotThere = (error: unknown): boolean =>
  error instanceof CommandFailed && error.exitCode === notThereCode;

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
