// Runs a benchmark again inside namespaces of its own, where it may start what it measures beside a cloud that runs on
// the machine. Owns the folder of the run, which is gone afterwards.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** True inside of the namespaces. Outside it runs the benchmark in them, sets the exit code, and answers false. */
export function inNamespaces(benchmark: string): boolean {
  if (process.env.VIRGA_TEST_NAMESPACE) return true;
  const folder = mkdtempSync('/var/tmp/virga-bench.');
  try {
    const inside = [process.execPath, '--conditions=development', benchmark, ...process.argv.slice(2)];
    const { status } = spawnSync(join(root, 'script/namespace'), [folder, ...inside], { stdio: 'inherit' });
    process.exitCode = status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return false;
}
