// What a program that reads data of unknown origin may use at most, as arguments of prlimit. Owns what is the same for all of them.

export type ResourceLimits = {
  /** Of addresses. */
  memoryBytes: number;
  cpuSeconds: number;
  /** Largest file that it may write. Default any. */
  fileBytes?: number;
  /** Of each thread. Default the system's. */
  stackBytes?: number;
};

/** All that run as nobody on the host count. */
const mostProcesses = 4096;
const mostFiles = 64;

export const rlimits = ({ memoryBytes, cpuSeconds, fileBytes, stackBytes }: ResourceLimits): string[] => [
  ...[`--as=${memoryBytes}`, `--cpu=${cpuSeconds}`, '--core=0', `--nofile=${mostFiles}`, `--nproc=${mostProcesses}`],
  ...(fileBytes === undefined ? [] : [`--fsize=${fileBytes}`]),
  ...(stackBytes === undefined ? [] : [`--stack=${stackBytes}`]),
];

/**
 * For qemu-img. With the usual 8 MiB, and 128 MiB that the C library reserves for each thread's memory, its up to 64 threads for
 * slow disks would reach the limit of what it may map without using any of it.
 */
export const smallStackBytes = 1024 ** 2;
