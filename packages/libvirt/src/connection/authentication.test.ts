// What the client does with each way of authentication that a daemon can ask for.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ConnectFailed, type LibvirtError } from '../errors.ts';
import { remoteError } from '../protocol/objects.ts';
import { type Behaviour, encoded, fakeServers, words } from '../testing/fake-server.ts';

const servers = fakeServers();
const connectTo = servers.connectTo;

after(() => servers.close());

test('authentication: polkit is asked for where it is offered, SASL is refused with what to do', async () => {
  const withTypes =
    (types: number[], grants: boolean): Behaviour =>
    (message, peer) => {
      if (message.procedure === 66) peer.reply(message, words(types.length, ...types));
      else if (message.procedure === 70 && grants) peer.reply(message, words(1));
      else if (message.procedure === 70) {
        const details = { object: null, string1: null, string2: null, string3: null, network: null };
        const error = { ...details, code: 45, domain: 7, message: 'denied', level: 2, int1: 0, int2: 0 };
        peer.error(
          message,
          encoded((writer) => remoteError.encode(writer, error)),
        );
      } else return false;
      return true;
    };
  await (await connectTo(withTypes([2], true))).close();
  await assert.rejects(connectTo(withTypes([2], false)), (error) => {
    assert.ok(error instanceof ConnectFailed);
    assert.equal(error.reason, 'AUTH_DENIED');
    assert.equal((error.cause as LibvirtError).code, 'AUTH_FAILED');
    return true;
  });
  await assert.rejects(connectTo(withTypes([1], false)), { name: 'ConnectFailed', reason: 'AUTH_UNSUPPORTED' });
});
