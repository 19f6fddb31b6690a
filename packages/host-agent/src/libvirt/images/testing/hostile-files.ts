// Image files as somebody makes them who wants to harm a host, and what is said of each. Made in memory from plain images of
// one mebibyte, which qemu-img has made.
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { StatedFormat } from '@virga/contract/agent/image-source';
import { type OvfOptions, ovf, tar, tarHeader } from './archives.ts';

export type PlainImages = Record<'qcow2' | 'vmdk' | 'stream' | 'vhdx' | 'vdi' | 'raw' | 'xzBomb', Buffer>;
export type Hostile = { content: Buffer; format?: StatedFormat; kind?: 'iso'; said: RegExp; checksum?: string };

const mebibyte = 1024 ** 2;

const patched = (bytes: Buffer, ...patches: [offset: number, value: Buffer | string][]): Buffer => {
  const copy = Buffer.from(bytes);
  for (const [offset, value] of patches) Buffer.from(value as string, 'latin1').copy(copy, offset);
  return copy;
};
const be32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value].map((byte) => byte & 255));
const be64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
};
const le16 = (value: number) => Buffer.from([value & 255, value >>> 8]);
const le32 = (value: number) => Buffer.from(be32(value)).reverse();
const le64 = (value: bigint) => Buffer.from(be64(value)).reverse();
const replaced = (bytes: Buffer, from: string, to: string): Buffer => {
  const at = bytes.indexOf(from, 0, 'latin1');
  if (at < 0 || to.length > from.length) throw new Error(`cannot put ${to} in the place of ${from}`);
  return patched(bytes, [at, to.padEnd(from.length)]);
};

/** By what is wrong with each. */
export function hostileFiles(plain: PlainImages): Record<string, Hostile> {
  return {
    ...qcow2Files(plain),
    ...vmdkFiles(plain),
    ...vhdxAndVdiFiles(plain),
    ...wrappedFiles(plain),
    ...otherFiles(plain),
  };
}

function qcow2Files({ qcow2, raw }: PlainImages): Record<string, Hostile> {
  const extensions = qcow2.readUInt32BE(100);
  return {
    'qcow2 with a backing file': {
      content: patched(qcow2, [8, be64(512n)], [16, be32(11)], [512, '/etc/shadow']),
      said: /backing file/,
    },
    'qcow2 with a data file': { content: patched(qcow2, [72, be64(4n)]), said: /data in another file/ },
    'qcow2 with the name of a data file': {
      content: patched(qcow2, [extensions, be32(0x44415441)], [extensions + 4, be32(8)], [extensions + 8, '/etc/pwd']),
      said: /data in another file/,
    },
    'qcow2 that is encrypted': { content: patched(qcow2, [32, be32(2)]), said: /encrypted/ },
    'qcow2 with the header of an encryption': {
      content: patched(qcow2, [extensions, be32(0x0537be77)], [extensions + 4, be32(16)]),
      said: /encrypted/,
    },
    'qcow2 with snapshots inside': { content: patched(qcow2, [60, be32(1)], [64, be64(65536n)]), said: /snapshots/ },
    'qcow2 with a feature from the future': { content: patched(qcow2, [72, be64(1n << 40n)]), said: /feature/ },
    'qcow2 that is marked as corrupt': { content: patched(qcow2, [72, be64(2n)]), said: /corrupt/ },
    'qcow2 of four exbibytes': { content: patched(qcow2, [24, be64(1n << 62n)]), said: /too small|claims to be/ },
    'qcow2 of a negative size': { content: patched(qcow2, [24, be64(-1n)]), said: /too small|claims to be/ },
    'qcow2 of no size': { content: patched(qcow2, [24, be64(0n)]), said: /no size/ },
    'qcow2 with an absurd table': { content: patched(qcow2, [36, be32(0x7fffffff)]), said: /absurd size/ },
    'qcow2 with a table that is not aligned': {
      content: patched(qcow2, [40, be64(196609n)]),
      said: /where none may be/,
    },
    'qcow2 with a table at a negative place': {
      content: patched(qcow2, [40, be64(-65536n)]),
      said: /corrupt|ends before/,
    },
    'qcow2 with a table beyond its end': { content: patched(qcow2, [48, be64(1n << 40n)]), said: /ends before/ },
    'qcow2 with a header of four gibibytes': {
      content: patched(qcow2, [100, be32(0xfffffff8)]),
      said: /impossible length/,
    },
    'qcow2 with an extension of four gibibytes': {
      content: patched(qcow2, [extensions, be32(1)], [extensions + 4, be32(0xffffffff)]),
      said: /contradicts itself/,
    },
    'qcow2 with clusters of two gibibytes': { content: patched(qcow2, [20, be32(31)]), said: /impossible size/ },
    'qcow2 of version 1': { content: patched(qcow2, [4, be32(1)]), said: /version 1/ },
    'qcow2 of version 9': { content: patched(qcow2, [4, be32(9)]), said: /version 9/ },
    'qcow2 with odd reference counts': { content: patched(qcow2, [96, be32(60)]), said: /impossible way/ },
    'qcow2 that ends in its header': { content: qcow2.subarray(0, 60), said: /header/ },
    'qcow2 that ends in its tables': { content: qcow2.subarray(0, 70_000), said: /ends before/ },
    'qcow2 whose data lies beyond its end': { content: qcow2.subarray(0, 5 * 65536 + 512), said: /corrupt/ },
    'qcow2 whose tables lead to nowhere': {
      content: patched(qcow2, [Number(qcow2.readBigUInt64BE(40)), be64((1n << 63n) | (1n << 50n))]),
      said: /corrupt/,
    },
    'qcow2 that is stated to be raw': { content: qcow2, format: 'raw', said: /stated to be raw but is a qcow2/ },
    'qcow2 that is stated to be a VMDK': { content: qcow2, format: 'vmdk', said: /stated to be vmdk but is a qcow2/ },
    'qcow2 that is stated to be a disc': { content: qcow2, kind: 'iso', said: /stated to be a disc/ },
    'raw disk that begins as a qcow2 with a backing file': {
      content: patched(raw, [0, qcow2.subarray(0, 104)], [8, be64(512n)], [510, '\x55\xaa']),
      said: /at once/,
    },
    'raw disk that begins as a qcow2, and is stated to be raw': {
      content: patched(raw, [0, qcow2.subarray(0, 104)]),
      format: 'raw',
      said: /at once|stated to be raw/,
    },
    'raw disk with a partition table that begins as a qcow2': {
      content: patched(raw, [0, 'QFI\xfb'], [512, 'EFI PART']),
      said: /at once/,
    },
    'qcow2 that is a tar archive too': { content: patched(qcow2, [257, 'ustar']), said: /at once/ },
    'raw disk that is stated to be a qcow2': { content: raw, format: 'qcow2', said: /no qcow2/ },
  };
}

/** As VMware writes it: where its tables are stands at its end only. */
export function withFooter(stream: Buffer): Buffer {
  const marker = (type: number) => patched(Buffer.alloc(512), [12, le32(type)]);
  const header = stream.subarray(0, 512);
  return Buffer.concat([patched(stream, [56, le64(-1n)]), marker(3), header, marker(0)]);
}

const descriptor = (extent: string, type = 'monolithicFlat') =>
  `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="${type}"\n\n${extent}\n`;

function vmdkFiles({ vmdk, stream }: PlainImages): Record<string, Hostile> {
  const descriptorAt = Number(vmdk.readBigUInt64LE(28)) * 512;
  const written = (text: string) => patched(vmdk, [descriptorAt, Buffer.alloc(10_240)], [descriptorAt, text]);
  return {
    'VMDK descriptor with an extent of the host': {
      content: Buffer.from(descriptor('RW 2048 FLAT "/etc/shadow" 0')),
      said: /descriptor/,
    },
    'VMDK descriptor with a JSON name': {
      content: Buffer.from(
        descriptor('RW 2048 FLAT "json:{\\"driver\\":\\"file\\",\\"filename\\":\\"/etc/shadow\\"}" 0'),
      ),
      said: /descriptor/,
    },
    'VMDK without a capacity, whose descriptor leads elsewhere': {
      content: patched(written(descriptor('RW 2048 FLAT "/etc/shadow" 0')), [12, le64(0n)]),
      said: /no size/,
    },
    'VMDK with an extent of the host': {
      content: written(descriptor('RW 2048 FLAT "/etc/shadow" 0', 'monolithicSparse')),
      said: /other files/,
    },
    'VMDK in pieces': {
      content: written(descriptor('RW 1024 SPARSE "a.vmdk"\nRW 1024 SPARSE "b.vmdk"', 'monolithicSparse')),
      said: /other files/,
    },
    'VMDK of another type inside': {
      content: written(descriptor('RW 2048 SPARSE "a.vmdk"', 'vmfs')),
      said: /type "vmfs"/,
    },
    'VMDK with a parent': {
      content: written(`${descriptor('RW 2048 SPARSE "a"', 'monolithicSparse')}parentFileNameHint="/etc/shadow"\n`),
      said: /rests on another/,
    },
    'VMDK with a parent beyond what it says of its descriptor': {
      content: patched(
        written(descriptor('RW 2048 SPARSE "a"', 'monolithicSparse')),
        [36, le64(1n)],
        [descriptorAt + 1000, 'parentFileNameHint="/etc/shadow"'],
      ),
      said: /rests on another/,
    },
    'VMDK with a parent by number': {
      content: replaced(vmdk, 'parentCID=ffffffff', 'parentCID=12345678'),
      said: /rests on another/,
    },
    'VMDK with grains of no size': { content: patched(vmdk, [20, le64(0n)]), said: /impossible shape/ },
    'VMDK of an absurd size': { content: patched(vmdk, [12, le64(1n << 50n)]), said: /claims to be/ },
    'VMDK of a negative size': { content: patched(vmdk, [12, le64(-1n)]), said: /claims to be/ },
    'VMDK of version 77': { content: patched(vmdk, [4, le32(77)]), said: /version 77/ },
    'VMDK with a descriptor beyond its end': { content: patched(vmdk, [28, le64(1n << 40n)]), said: /ends before/ },
    'VMDK that was cut short': { content: vmdk.subarray(0, 4096), said: /ends before/ },
    'VMDK for streams that was cut short': {
      content: withFooter(stream).subarray(0, stream.length),
      said: /cut short|corrupt/,
    },
    'VMDK for streams that says two things': {
      content: patched(withFooter(stream), [stream.length + 512 + 12, le64(99n)]),
      said: /one thing at its beginning/,
    },
  };
}

function vhdxAndVdiFiles({ vhdx, vdi }: PlainImages): Record<string, Hostile> {
  const metadata = vhdx.indexOf('metadata', 0, 'latin1');
  const item = (hex: string) => vhdx.indexOf(Buffer.from(hex, 'hex'), metadata);
  const parameters = item('3767a1ca36fa434db3b633f0aa44e76b');
  const size = item('2442a52f1bcd7648b2115dbed83bf4b8');
  const regions = 192 * 1024;
  const placeOf = (at: number) => metadata + vhdx.readUInt32LE(at + 16);
  return {
    'VHDX with a parent': { content: patched(vhdx, [placeOf(parameters) + 4, le32(2)]), said: /difference/ },
    'VHDX with a parent locator': {
      content: patched(vhdx, [parameters, Buffer.from('2d5fd3a80bb34d45abf7d3d84834ab0c', 'hex')]),
      said: /rests on another/,
    },
    'VHDX with a log to be replayed': {
      content: patched(vhdx, [65536 + 48, 'x'.repeat(16)], [131072 + 48, 'x'.repeat(16)]),
      said: /not closed in order/,
    },
    'VHDX that needs something unknown': {
      content: patched(
        vhdx,
        [regions + 8, le32(3)],
        [regions + 16 + 64, 'unknown-region!!'],
        [regions + 16 + 64 + 28, le32(1)],
      ),
      said: /feature/,
    },
    'VHDX with a million regions': { content: patched(vhdx, [regions + 8, le32(1_000_000)]), said: /regions/ },
    'VHDX with a table beyond its end': {
      content: patched(vhdx, [regions + 32, le64(1n << 50n)]),
      said: /ends before/,
    },
    'VHDX of an absurd size': { content: patched(vhdx, [placeOf(size), le64(1n << 62n)]), said: /claims to be/ },
    'VHDX of a negative size': { content: patched(vhdx, [placeOf(size), le64(-1n)]), said: /claims to be/ },
    'VHDX of an unknown version': {
      content: patched(vhdx, [65536 + 66, le16(9)], [131072 + 66, le16(9)]),
      said: /version/,
    },
    'VHDX without headers': { content: patched(vhdx, [65536, 'xxxx'], [131072, 'xxxx']), said: /no header/ },
    'VHDX that was cut short': { content: vhdx.subarray(0, 200 * 1024), said: /ends before/ },
    'VDI that is a difference': { content: patched(vdi, [76, le32(4)]), said: /difference/ },
    'VDI with a parent': { content: patched(vdi, [440, 'x'.repeat(16)]), said: /rests on another/ },
    'VDI with a link': { content: patched(vdi, [424, 'x'.repeat(16)]), said: /rests on another/ },
    'VDI of an absurd size': { content: patched(vdi, [368, le64(1n << 62n)]), said: /claims to be/ },
    'VDI of a negative size': { content: patched(vdi, [368, le64(-1n)]), said: /claims to be/ },
    'VDI with four thousand million blocks': {
      content: patched(vdi, [368, le64(0xffffffffn << 20n)], [384, le32(0xffffffff)]),
      said: /ends before/,
    },
    'VDI with a table in its header': { content: patched(vdi, [340, le32(64)]), said: /contradicts itself/ },
    'VDI of an unknown version': { content: patched(vdi, [68, le32(7)]), said: /version/ },
    'VDI that ends in its table': { content: vdi.subarray(0, 513), said: /ends before/ },
  };
}

function wrappedFiles({ qcow2, stream, raw, xzBomb }: PlainImages): Record<string, Hostile> {
  const zeros = Buffer.alloc(96 * mebibyte);
  const archive = (options: OvfOptions = {}, more: [string, Buffer][] = []): Buffer =>
    tar([['vm.ovf', Buffer.from(ovf(options))], ['disk.vmdk', stream], ...more]);
  const flat = Buffer.from(descriptor('RW 2048 FLAT "/etc/shadow" 0'));
  return {
    'gzip bomb': { content: gzipSync(zeros), said: /unpacks to more than/ },
    'zstd bomb': { content: zstdCompressSync(zeros), said: /unpacks to more than/ },
    'xz bomb': { content: xzBomb, said: /unpacks to more than/ },
    'bomb in a bomb': { content: gzipSync(gzipSync(zeros)), said: /compressed more than once/ },
    'gzip that was cut short': { content: gzipSync(qcow2).subarray(0, 300), said: /cannot unpack/ },
    'gzip of a qcow2 with a backing file': {
      content: gzipSync(patched(qcow2, [8, be64(512n)], [16, be32(11)], [512, '/etc/shadow'])),
      said: /backing file/,
    },
    'gzip of a qcow2 that is stated to be raw': { content: gzipSync(qcow2), format: 'raw', said: /stated to be raw/ },
    'OVA with a name that leads out': {
      content: tar([
        ['../../../etc/cron.d/x', Buffer.from('x')],
        ['vm.ovf', Buffer.from(ovf())],
      ]),
      said: /in a folder/,
    },
    'OVA with an absolute name': { content: tar([['/etc/cron.d/x', Buffer.from('x')]]), said: /in a folder/ },
    'OVA with a symbolic link': {
      content: Buffer.concat([tarHeader('disk.vmdk', 0, '2', '/etc/shadow'), archive()]),
      said: /something else than files/,
    },
    'OVA with a device': {
      content: Buffer.concat([tarHeader('disk.vmdk', 0, '3'), archive()]),
      said: /something else/,
    },
    'OVA with a size below nothing': {
      content: patched(archive(), [124, Buffer.concat([Buffer.from([0x80, 0, 0, 0]), be64(-1n)])]),
      said: /impossible size|archive/,
    },
    'OVA without a descriptor': { content: tar([['disk.vmdk', stream]]), said: /0 descriptors/ },
    'OVA with two descriptors': { content: archive({}, [['b.ovf', Buffer.from(ovf())]]), said: /2 descriptors/ },
    'OVA with two disks': { content: archive({ disks: 2 }), said: /2 disks/ },
    'OVA whose disk is a file of the host': { content: archive({ href: '/etc/shadow' }), said: /lacks the disk/ },
    'OVA whose disk has a parent': { content: archive({ parent: true }), said: /rests on another/ },
    'OVA that defines entities': { content: archive({ entities: true }), said: /defines entities/ },
    'OVA with another disk than its manifest says': {
      content: archive({}, [['vm.mf', Buffer.from(`SHA256(disk.vmdk)= ${'0'.repeat(64)}\n`)]]),
      said: /manifest says/,
    },
    'OVA whose disk leads to a file of the host': {
      content: tar([
        ['vm.ovf', Buffer.from(ovf())],
        ['disk.vmdk', flat],
      ]),
      said: /descriptor/,
    },
    'OVA with a raw disk': {
      content: tar([
        ['vm.ovf', Buffer.from(ovf())],
        ['disk.vmdk', raw],
      ]),
      said: /another format|like none/,
    },
    'OVA that was cut short': { content: archive().subarray(0, 5000), said: /cut short/ },
    'OVA with the same name twice': { content: archive({}, [['disk.vmdk', raw]]), said: /twice/ },
  };
}

function otherFiles({ raw, qcow2 }: PlainImages): Record<string, Hostile> {
  return {
    'VHD image': { content: patched(raw, [raw.length - 512, 'conectix']), format: 'raw', said: /VHD image/ },
    'QED image': { content: patched(raw, [0, 'QED\0']), format: 'raw', said: /QED/ },
    'LUKS volume': { content: patched(raw, [0, 'LUKS\xba\xbe']), format: 'raw', said: /LUKS/ },
    'ZIP archive': { content: patched(raw, [0, 'PK\x03\x04']), said: /ZIP/ },
    'web page': { content: Buffer.from('<!DOCTYPE html><title>404</title>'), said: /web page/ },
    text: { content: Buffer.from('just some text'), said: /like none/ },
    'single byte': { content: Buffer.from('x'), said: /like none/ },
    'file with another checksum': { content: qcow2, checksum: '0'.repeat(64), said: /should have 0000/ },
    'disc that was cut short': { content: raw, kind: 'iso', said: /ISO 9660/ },
  };
}
