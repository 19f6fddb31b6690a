// The log of the server: JSON lines in a file that is rotated by size, and readable lines on a stream for whoever looks.
// A log that cannot be written is no reason for the cloud to stop: then only the stream has it.
import { closeSync, existsSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { copyFile, stat, truncate } from 'node:fs/promises';
import { type Logger, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

const maxFileBytes = 16 * 1024 * 1024;
const keptFiles = 4;

export type ServerLogOptions = {
  path: string;
  level: LogLevel;
  /** Gets readable lines; absent: nobody looks. */
  stream?: NodeJS.WritableStream | undefined;
};

export function openServerLog({ path, level, stream }: ServerLogOptions): Logger {
  const file = new RotatingFile(path, maxFileBytes, keptFiles);
  const write = (line: string) => {
    file.write(line);
    stream?.write(readable(line));
  };
  const options = { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime };
  return pino({ ...options, formatters: { level: (label: string) => ({ level: label }) } }, { write });
}

/** A file that gets the name `PATH.1` when it has grown too large, and so on; the oldest goes. */
export class RotatingFile {
  private readonly path: string;
  private readonly maxBytes: number;
  private readonly kept: number;
  private file: number | undefined;
  private sizeBytes = 0;

  constructor(path: string, maxBytes: number, kept: number) {
    this.path = path;
    this.maxBytes = maxBytes;
    this.kept = kept;
  }

  write(line: string): void {
    try {
      if (this.file === undefined) this.open();
      else if (this.sizeBytes >= this.maxBytes) this.rotate();
      this.sizeBytes += writeSync(this.file!, line);
    } catch {
      this.close();
    }
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private open(): void {
    this.file = openSync(this.path, 'a', 0o640);
    this.sizeBytes = fstatSync(this.file).size;
  }

  private rotate(): void {
    this.close();
    for (let number = this.kept - 1; number >= 1; number--) {
      if (existsSync(`${this.path}.${number}`)) renameSync(`${this.path}.${number}`, `${this.path}.${number + 1}`);
    }
    renameSync(this.path, `${this.path}.1`);
    this.open();
  }
}

/**
 * Keeps a log small that another process appends to: what there is becomes `PATH.1`, and the file is empty again. Lines
 * that are written in that moment are lost.
 */
export async function trimForeignLog(path: string, maxBytes = maxFileBytes): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size < maxBytes) return;
  await copyFile(path, `${path}.1`);
  await truncate(path);
}

const hidden = new Set(['level', 'time', 'msg', 'err']);

/** `07:12:05 warn the database went away host=a` */
function readable(line: string): string {
  const record = JSON.parse(line) as {
    level: string;
    time: string;
    msg?: string;
    err?: { stack?: string; message?: string };
  };
  const fields = Object.entries(record)
    .filter(([name]) => !hidden.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const head = [record.time.slice(11, 19), record.level.padEnd(5), record.msg ?? '', ...fields].join(' ').trimEnd();
  const stack = record.err?.stack ?? record.err?.message;
  return stack ? `${head}\n${stack}\n` : `${head}\n`;
}
