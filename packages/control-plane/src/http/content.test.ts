// Bytes in the body of a request: where they belong and where not, refused before they end, and broken off half way.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { authHeaders, sendImage } from '@virga/contract/client';
import type { ImageId } from '@virga/contract/ids';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';
import { until } from '@virga/testing/until';

const partBytes = 4 * 1024 ** 2;
const sizeBytes = 2 * partBytes;
let cloud: TemporaryCloud;
let id: ImageId;

before(async () => {
  cloud = await startTemporaryCloud();
  ({ id } = await cloud.client.uploadImage({ body: { name: 'sent', sizeBytes, format: 'raw' } }));
});
after(() => cloud.close());

const connection = () => ({ server: cloud.url, ...cloud.credentials });
const part = Buffer.alloc(partBytes, 'part');
const received = async () => (await cloud.client.getImageUpload({ params: { id } })).receivedBytes;
const asked = async (method: string, path: string, type: string, body: string | Buffer<ArrayBuffer>) => {
  const headers = { ...authHeaders(connection()), 'content-type': type };
  const response = await fetch(new URL(path, cloud.url), { method, headers, body });
  return `${response.status} ${((await response.json()) as { detail?: string }).detail}`;
};

test('bytes are refused where JSON belongs, and JSON where bytes do', async () => {
  const bytes = 'application/octet-stream';
  assert.match(await asked('POST', '/v1/images/upload', bytes, part), /^400 .*not declared as JSON/);
  const path = `/v1/images/${id}/upload?offsetBytes=0`;
  assert.match(await asked('PUT', path, 'application/json', '{"a":1}'), /^400 The request has no bytes/);
  assert.match(await asked('PUT', path, 'application/json', '{'), /^400 /);
});

test('a part that is refused before it ends is answered all the same, and the next one is taken', async () => {
  await assert.rejects(sendImage(connection(), { id, offsetBytes: 1 }, part), { code: 'Conflict' });
  await assert.rejects(sendImage(connection(), { id: 'ami-00000000000000000', offsetBytes: 0 }, part), {
    code: 'NotFound',
  });
  assert.equal(await received(), 0);
  assert.equal((await sendImage(connection(), { id, offsetBytes: 0 }, part)).receivedBytes, partBytes);
});

test('what came before a connection broke stays, and the rest begins there', async () => {
  const headers = {
    ...authHeaders(connection()),
    'content-type': 'application/octet-stream',
    'content-length': partBytes,
  };
  const sent = request(new URL(`/v1/images/${id}/upload?offsetBytes=${partBytes}`, cloud.url), {
    method: 'PUT',
    headers,
  });
  sent.on('error', () => undefined);
  sent.write(part.subarray(0, 1024 ** 2));
  await until('some of it is there', async () => (await received()) > partBytes);
  sent.destroy();
  const have = await until('it has come to rest', async () => {
    const before = await received();
    // As long as the broken part is not done with, the next one has to wait.
    const more = await sendImage(connection(), { id, offsetBytes: before }, Buffer.from('x')).catch(() => undefined);
    return more?.receivedBytes === before + 1 && more.receivedBytes;
  });
  const rest = part.subarray(0, sizeBytes - have);
  const { operationId, receivedBytes } = await sendImage(connection(), { id, offsetBytes: have }, rest);
  assert.equal(receivedBytes, sizeBytes);
  await until('it is an image', async () => {
    const { state, error } = await cloud.client.getOperation({
      params: { id: operationId! },
      query: { waitSeconds: 5 },
    });
    assert.notEqual(state, 'failed', JSON.stringify(error));
    return state === 'succeeded';
  });
});
