// A web server for tests of downloads, run as a program of its own in another network namespace: it is another machine.
// Serves the files of a folder, with ranges; the query of an address asks it to misbehave. Prints a line for each request.
import { createReadStream, type ReadStream, statSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';

const [folder = '', port = '0'] = process.argv.slice(2);
const asked = new Map<string, number>();

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://here');
  const times = (asked.get(url.href) ?? 0) + 1;
  asked.set(url.href, times);
  const { range = null, 'if-range': ifRange = null } = request.headers;
  console.log(JSON.stringify({ path: `${url.pathname}${url.search}`, times, range, ifRange }));
  const wish = (name: string) => url.searchParams.get(name);
  const turns = wish('turns')?.split(' ');
  const redirect = turns ? turns[Math.min(times, turns.length) - 1]! : wish('redirect');
  if (redirect !== null) return void response.writeHead(302, { location: redirect }).end();
  if (wish('fails') !== null && times <= Number(wish('fails'))) return void response.writeHead(503).end();
  if (wish('once') !== null && times > 1) return void response.writeHead(404).end();
  if (wish('endless') !== null) return endless(response);
  serve(response, {
    path: join(folder, url.pathname),
    range,
    ifRange,
    // The first time only; afterwards the file may be another one.
    isSlow: wish('slow') !== null && times === 1,
    cutAt: wish('cut') !== null && times === 1 ? Number(wish('cut')) : undefined,
    etag: wish('changes') !== null ? `"${times}"` : wish('unnamed') !== null ? undefined : '"one"',
    encoding: wish('encoding') ?? undefined,
    lengthSaid: wish('says') === null ? undefined : Number(wish('says')),
  });
}).listen(Number(port), '0.0.0.0', () => console.log('listening'));

type Serving = {
  path: string;
  range: string | null;
  ifRange: string | string[] | null;
  isSlow: boolean;
  cutAt: number | undefined;
  etag: string | undefined;
  encoding: string | undefined;
  lengthSaid: number | undefined;
};

function serve(response: ServerResponse, serving: Serving): void {
  const { path, range, ifRange, isSlow, cutAt, etag, encoding, lengthSaid } = serving;
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return void response.writeHead(404).end();
  const [, from] = (ifRange === null || ifRange === etag ? /^bytes=(\d+)-$/.exec(range ?? '') : null) ?? [];
  const start = Number(from ?? 0);
  response.writeHead(from === undefined ? 200 : 206, {
    'content-length': lengthSaid ?? size - start,
    ...(etag !== undefined && { etag }),
    ...(encoding !== undefined && { 'content-encoding': encoding }),
    ...(from !== undefined && { 'content-range': `bytes ${start}-${size - 1}/${size}` }),
  });
  const stream = createReadStream(path, { start, ...(cutAt !== undefined && { end: cutAt - 1 }) });
  if (isSlow) return void dribble(stream, response);
  if (cutAt === undefined) return void stream.pipe(response);
  stream.on('data', (chunk) => response.write(chunk));
  // All of it arrives before the connection ends.
  stream.on('end', () => response.socket?.destroySoon());
}

/** So slowly that there is time to do something meanwhile. */
function dribble(stream: ReadStream, response: ServerResponse): void {
  stream.on('data', (chunk) => {
    stream.pause();
    response.write(chunk);
    setTimeout(() => stream.resume(), 100);
  });
  stream.on('end', () => response.end());
}

function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(1024 ** 2, 'x');
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
    response.once('drain', more);
  };
  response.writeHead(200);
  more();
}
