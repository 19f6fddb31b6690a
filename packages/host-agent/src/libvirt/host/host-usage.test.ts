import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainUsage } from './host-usage.ts';

const domain = { name: 'web', uuid: '0f9a3a34-6c50-4d5f-9d7b-3f0b7f4f1d11', id: 7 };
const nowSeconds = 1_800_000_000;
const parameters = {
  'cpu.time': 12_500_000_000n,
  'vcpu.current': 2,
  'vcpu.maximum': 4,
  'vcpu.0.delay': 1_000_000_000n,
  'vcpu.2.delay': 500_000_000n,
  'balloon.current': 2_097_152n,
  'balloon.rss': 1_048_576n,
  'balloon.available': 2_000_000n,
  'balloon.usable': 1_500_000n,
  'balloon.last-update': BigInt(nowSeconds - 20),
  'block.count': 2,
  'block.0.rd.bytes': 1000n,
  'block.0.rd.reqs': 10n,
  'block.1.rd.bytes': 24n,
  'block.1.wr.bytes': 5n,
  'block.1.wr.reqs': 1n,
  'net.count': 1,
  'net.0.rx.bytes': 300n,
  'net.0.tx.bytes': 400n,
};

test('what libvirt tells of a domain becomes counters of all its disks, cards and vCPUs', () => {
  assert.deepEqual(domainUsage({ domain, parameters }, nowSeconds), {
    uuid: domain.uuid,
    run: '7',
    vcpus: 2,
    cpuTimeMs: 12_500,
    cpuWaitMs: 1500,
    memory: { currentKib: 2_097_152, residentKib: 1_048_576, usedKib: 500_000 },
    disks: { readBytes: 1024, readRequests: 10, writtenBytes: 5, writeRequests: 1 },
    network: { receivedBytes: 300, sentBytes: 400 },
  });
});

test('what is not told is not known, rather than nothing', () => {
  const busy = { 'cpu.time': 1n, 'vcpu.maximum': 1, 'balloon.current': 1n };
  const seen = domainUsage({ domain, parameters: busy }, nowSeconds);
  assert.deepEqual(
    [seen?.disks, seen?.cpuWaitMs, seen?.memory.usedKib, seen?.memory.residentKib],
    [null, null, null, null],
  );
  const stale = domainUsage({ domain, parameters }, nowSeconds + 600);
  assert.equal(stale?.memory.usedKib, null, 'its driver has stopped');
  assert.equal(domainUsage({ domain, parameters: {} }, nowSeconds), undefined, 'it has gone meanwhile');
});
