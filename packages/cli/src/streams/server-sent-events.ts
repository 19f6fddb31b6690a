// Reading the wire format of server-sent events. Pure: chunks in, messages out; what is half here waits for the rest.
// Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

export type ServerSentMessage = { data: string; lastEventId: string };

export type EventStreamParser = {
  push(text: string): ServerSentMessage[];
  /** Of the last message, or an `id:` that came alone; empty before the first. */
  readonly lastEventId: string;
  /** What the server asked us to wait before connecting again. */
  readonly retryMs: number | undefined;
};

/** More than this without an end of a message is no event stream. */
const largestMessage = 4 * 1024 * 1024;

export function createEventStreamParser(initialEventId = ''): EventStreamParser {
  let buffered = '';
  let data: string[] = [];
  let lastEventId = initialEventId;
  let retryMs: number | undefined;

  const takeLine = (line: string): ServerSentMessage | undefined => {
    if (line === '') {
      if (data.length === 0) return undefined;
      const message = { data: data.join('\n'), lastEventId };
      data = [];
      return message;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    if (field === 'id' && !value.includes('\0')) lastEventId = value;
    if (field === 'retry' && /^\d+$/.test(value)) retryMs = Number(value);
    return undefined;
  };

  return {
    push(text) {
      buffered += text;
      const messages: ServerSentMessage[] = [];
      let start = 0;
      // A carriage return at the very end may be half of a CRLF.
      for (const found of buffered.matchAll(/\r\n|\r(?!$)|\n/g)) {
        const message = takeLine(buffered.slice(start, found.index));
        if (message) messages.push(message);
        start = found.index + found[0].length;
      }
      buffered = buffered.slice(start);
      if (buffered.length > largestMessage) throw new RangeError('An event is larger than 4 MiB.');
      return messages;
    },
    get lastEventId() {
      return lastEventId;
    },
    get retryMs() {
      return retryMs;
    },
  };
}
