// What the programs in the guest say, as figures. Pure. What is not as they write it is an error, never a figure.

/** Two numbers of `memory-walk`: what was done, and in how many nanoseconds. @returns done in a second */
export function walkedPerSecond(output: string): number {
  const [, done, nanoseconds] = /^(\d+) (\d+)\n$/.exec(output) ?? [];
  if (done === undefined || !(Number(nanoseconds) > 0))
    throw new SyntaxError(`memory-walk said ${JSON.stringify(output)}`);
  return (Number(done) * 1e9) / Number(nanoseconds);
}

export type FioFigures = { readIops: number; writeIops: number };

/** Of `fio --output-format=json` with one job. */
export function fioFigures(output: string): FioFigures {
  // Notes of fio may stand before the document.
  const { jobs } = JSON.parse(output.slice(output.indexOf('{'))) as {
    jobs?: { error?: number; read?: { iops?: number }; write?: { iops?: number } }[];
  };
  const job = jobs?.[0];
  const [readIops, writeIops] = [job?.read?.iops, job?.write?.iops];
  if (job?.error !== 0 || readIops === undefined || writeIops === undefined) {
    throw new SyntaxError(`fio said ${JSON.stringify(output.slice(-500))}`);
  }
  return { readIops, writeIops };
}

/** Of `iperf3 --json`. @returns bits a second that arrived */
export function iperfBitsPerSecond(output: string): number {
  const { end, error } = JSON.parse(output) as {
    end?: { sum_received?: { bits_per_second?: number } };
    error?: string;
  };
  const received = end?.sum_received?.bits_per_second;
  if (error !== undefined || received === undefined)
    throw new SyntaxError(`iperf3 said ${error ?? output.slice(-500)}`);
  return received;
}
