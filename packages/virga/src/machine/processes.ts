// Whether a process that a file names is still that process. Sending it signal 0 is no answer: process ids are used again,
// and a process that has ended answers until somebody reaps it.
import { readFileSync } from 'node:fs';

/** True when the process lives, is no zombie, and runs a program of that name (its first 15 characters). */
export function isRunning(pid: number, program: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return false;
  }
  return status.startsWith(`Name:\t${program.slice(0, 15)}\n`) && !/^State:\s+[ZX]/m.test(status);
}

/** The process id that a file holds, when that process lives and runs that program. */
export function runningPid(file: string, program: string): number | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(file, 'utf8').trim());
  } catch {
    return undefined;
  }
  return isRunning(pid, program) ? pid : undefined;
}
