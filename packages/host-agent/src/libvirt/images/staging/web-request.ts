// One request of a download. Owns where it may go: names are resolved once for each connection, every address is judged, and
// the connection is made to the address that was judged, so that a name cannot mean another one a moment later. Redirects are
// followed by hand, each judged like the first.
import { lookup } from 'node:dns/promises';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { VirgaError } from '@virga/contract/errors';
import { type NetworkRules, refusalOf } from './reachable-address.ts';

/** Every address of a name. */
export type Resolve = (hostName: string) => Promise<string[]>;
const systemResolve: Resolve = async (hostName) =>
  (await lookup(hostName, { all: true, verbatim: true })).map(({ address }) => address);

export type WebRequest = {
  url: string;
  networks: NetworkRules;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  resolve?: Resolve | undefined;
};
export type WebResponse = { url: string; status: number; headers: IncomingMessage['headers']; body: IncomingMessage };

const mostRedirects = 5;
const quietMs = 60_000;
const redirects = [301, 302, 303, 307, 308];

/**
 * @returns what is answered, of which the headers have come. A connection that says nothing for a minute breaks off.
 * @throws ImageSourceUnavailable it may not go there | BrokenOff nobody answers
 */
export async function askWeb(asked: WebRequest): Promise<WebResponse> {
  let { url } = asked;
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const body = await connect(url, asked);
    const { statusCode: status = 0, headers } = body;
    if (!redirects.includes(status) || headers.location === undefined) return { url, status, headers, body };
    body.destroy();
    const next = URL.parse(headers.location, url);
    if (next === null) throw unavailable(`${url} leads to an address that is malformed`);
    if (new URL(url).protocol === 'https:' && next.protocol !== 'https:') {
      throw unavailable(`${url} leads to ${next.protocol}//${next.host}, which is not encrypted`);
    }
    url = next.href;
  }
  throw unavailable(`${asked.url} leads from one address to the next without an end`);
}

async function connect(url: string, asked: WebRequest): Promise<IncomingMessage> {
  const { networks, headers, signal, resolve = systemResolve } = asked;
  const target = URL.parse(url);
  const isWeb = target !== null && (target.protocol === 'http:' || target.protocol === 'https:');
  if (!isWeb) throw unavailable(`${url} is no address that begins with https:// or http://`);
  if (target.username !== '' || target.password !== '') throw unavailable('The address has a password in it');
  const hostName = target.hostname.replace(/^\[|\]$/g, '');
  const address = await allowedAddress(hostName, networks, resolve);
  const family = isIP(address);
  const request = target.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((settle, reject) => {
    const sent = request(target, {
      agent: false,
      // Compressed on the way, its length and place would not be those of the file.
      headers: { 'user-agent': 'virga', 'accept-encoding': 'identity', ...headers },
      timeout: quietMs,
      ...(signal && { signal }),
      lookup: (_name, options, answer) => {
        if ((options as { all?: boolean }).all) answer(null, [{ address, family }]);
        else answer(null, address, family);
      },
    });
    sent.on('timeout', () => sent.destroy(new Error('nothing came for a minute')));
    sent.on('error', (cause) => reject(signal?.aborted ? signal.reason : new BrokenOff(cause.message, { cause })));
    sent.on('response', settle);
    sent.end();
  });
}

async function allowedAddress(hostName: string, networks: NetworkRules, resolve: Resolve): Promise<string> {
  let addresses = [hostName];
  if (isIP(hostName) === 0) {
    try {
      addresses = await resolve(hostName);
    } catch (cause) {
      throw new BrokenOff(`the name ${hostName} is not known`, { cause });
    }
  }
  // One that leads home is enough to refuse the name: nobody means that by accident.
  for (const address of addresses) {
    const refusal = refusalOf(address, networks);
    if (refusal !== undefined) {
      const name = address === hostName ? hostName : `${hostName} (${address})`;
      throw new VirgaError('ImageSourceUnavailable', {
        detail: `Nothing is downloaded from ${name}, which ${refusal}.`,
        action: 'Give another address, or ask an administrator to allow that network in the settings of the server.',
        field: '/source/url',
      });
    }
  }
  const [first] = addresses;
  if (first === undefined) throw new BrokenOff(`the name ${hostName} has no address`);
  return first;
}

/** It may go better another time. */
export class BrokenOff extends Error {
  override readonly name = 'BrokenOff';
}

export function unavailable(what: string, cause?: unknown): VirgaError {
  return new VirgaError('ImageSourceUnavailable', {
    detail: `${what}.`,
    action: 'Check the address, and that the host can reach it; or download the image and import the file.',
    field: '/source/url',
    cause,
  });
}
