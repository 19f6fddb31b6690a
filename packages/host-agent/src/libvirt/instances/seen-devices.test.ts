import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredVolumeAttachment } from '@virga/contract/agent/desired';
import { element } from '../xml.ts';
import { bandwidth, bandwidthValues, ioTuneValues, volumeDisk } from './device-xml.ts';
import { readDevices } from './seen-devices.ts';

const volume: DesiredVolumeAttachment = {
  id: 'vol-0123456789abcdef1',
  target: 'vdc',
  readOnly: true,
  limits: { iops: 10, burstIops: 20, burstSeconds: 5, bytesPerSecond: 1000 },
};
const nicLimits = { inboundBytesPerSecond: 1500, outboundBytesPerSecond: 2_000_000, burstBytes: 2048 };

const domain = (...devices: string[]) => element('domain', {}, element('devices', {}, ...devices));
const card = (alias: string) =>
  element(
    'interface',
    { type: 'network' },
    element('mac', { address: '52:54:00:12:34:56' }),
    bandwidth(nicLimits),
    element('alias', { name: alias }),
  );

test('what is plugged in is read back as it was asked for', () => {
  const source = { path: '/srv/volumes/disk.qcow2', format: 'qcow2' as const };
  const disk = volumeDisk(volume, source, { directIo: true, hardware: 'virtio' });
  const seen = readDevices(domain(disk, card('ua-eni-0123456789abcdef0')));
  assert.deepEqual(seen.volumes, [{ id: volume.id, target: 'vdc', readOnly: true }]);
  assert.deepEqual(seen.ioTunes.get('vdc'), ioTuneValues(volume.limits));
  assert.equal(seen.targets.get('vol0123456789abcdef1'), 'vdc');
  assert.deepEqual(seen.nics, [
    { id: 'eni-0123456789abcdef0', mac: '52:54:00:12:34:56', limits: bandwidthValues(nicLimits) },
  ]);
  assert.deepEqual(seen.nics[0]?.limits, {
    inbound: { average: 2, burst: 2 },
    outbound: { average: 2000, burst: 2 },
  });
});

test('what somebody else plugged in is not ours', () => {
  const disk = element('disk', { type: 'file', device: 'disk' }, element('target', { dev: 'vde', bus: 'virtio' }));
  const seen = readDevices(domain(disk, card('net0'), card('ua-theirs')));
  assert.deepEqual([seen.volumes, seen.nics], [[], []]);
});

test('a port is free when no device has its bus', () => {
  const port = (index: number) =>
    element(
      'controller',
      { type: 'pci', index, model: 'pcie-root-port' },
      element('address', { type: 'pci', bus: '0x00', slot: '0x02', function: '0x0' }),
    );
  const disk = element('disk', {}, element('address', { type: 'pci', bus: '0x0a', slot: '0x00', function: '0x0' }));
  assert.equal(readDevices(domain(port(9), port(10), port(11), disk)).freePorts, 2);
});

test('a length that libvirt shows without a burst is no limit', () => {
  const tune =
    '<iotune><total_bytes_sec>5</total_bytes_sec><total_bytes_sec_max_length>1</total_bytes_sec_max_length></iotune>';
  const disk = element(
    'disk',
    { type: 'file', device: 'disk' },
    element('target', { dev: 'vda', bus: 'virtio' }),
    tune,
  );
  assert.deepEqual(readDevices(domain(disk)).ioTunes.get('vda'), ioTuneValues({ bytesPerSecond: 5 }));
});
