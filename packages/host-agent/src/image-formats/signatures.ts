// What a file says it is, by its first and last bytes. Owns the list of what can be told apart; guesses nothing: what looks
// like two things at once, or like none, is refused. Reads no deeper, which the readers of each format do.
import type { ImageFormat } from '@virga/contract/agent/image-source';
import type { ImageBytes } from './image-bytes.ts';
import { fetchAgain, makePlain, refuseImage } from './refusal.ts';

export type Compression = 'gzip' | 'xz' | 'zstd';
export type Nature = { kind: 'image'; format: ImageFormat } | { kind: 'compressed'; compression: Compression };

type Ends = { head: Buffer; tail: Buffer };
type Signature = {
  /** For people: `is …`. */
  name: string;
  nature?: Nature;
  matches: (ends: Ends) => boolean;
};

const headBytes = 40 * 1024;
const tailBytes = 512;

const begins = (text: string, at = 0) => {
  const bytes = Buffer.from(text, 'latin1');
  return ({ head }: Ends) => head.subarray(at, at + bytes.length).equals(bytes);
};
const ends = (text: string) => {
  const bytes = Buffer.from(text, 'latin1');
  return ({ tail }: Ends) => tail.length === tailBytes && tail.subarray(0, bytes.length).equals(bytes);
};
const image = (format: ImageFormat): Nature => ({ kind: 'image', format });
const compressed = (compression: Compression): Nature => ({ kind: 'compressed', compression });
const reads = (pattern: RegExp) => (it: Ends) => pattern.test(it.head.toString('latin1', 0, 1024));

const signatures: readonly Signature[] = [
  { name: 'a qcow2 image', nature: image('qcow2'), matches: begins('QFI\xfb') },
  { name: 'a VMDK image', nature: image('vmdk'), matches: begins('KDMV') },
  { name: 'a VHDX image', nature: image('vhdx'), matches: begins('vhdxfile') },
  { name: 'a VDI image', nature: image('vdi'), matches: begins('\x7f\x10\xda\xbe', 64) },
  { name: 'a tar archive', nature: image('ova'), matches: begins('ustar', 257) },
  { name: 'compressed with gzip', nature: compressed('gzip'), matches: begins('\x1f\x8b') },
  { name: 'compressed with xz', nature: compressed('xz'), matches: begins('\xfd7zXZ\0') },
  { name: 'compressed with zstd', nature: compressed('zstd'), matches: begins('\x28\xb5\x2f\xfd') },
  { name: 'a VMDK descriptor, whose data is in other files', matches: reads(/^\s*#\s*disk\s+descriptorfile/i) },
  { name: 'a VMDK of an old ESX server', matches: begins('COWD') },
  { name: 'a VHD image', matches: (it) => begins('conectix')(it) || ends('conectix')(it) },
  { name: 'a QED image', matches: begins('QED\0') },
  { name: 'a Parallels image', matches: (it) => begins('WithoutFreeSpace')(it) || begins('WithouFreSpacExt')(it) },
  { name: 'a Bochs image', matches: begins('Bochs Virtual HD Image') },
  { name: 'a cloop image', matches: begins('#!/bin/sh\n#V2.0 Format') },
  { name: 'a DMG image', matches: ends('koly') },
  { name: 'encrypted with LUKS', matches: begins('LUKS\xba\xbe') },
  { name: 'a ZIP archive', matches: begins('PK\x03\x04') },
  { name: 'a 7z archive', matches: begins('7z\xbc\xaf\x27\x1c') },
  { name: 'a RAR archive', matches: begins('Rar!\x1a\x07') },
  { name: 'compressed with bzip2', matches: reads(/^BZh[1-9]1AY&SY/) },
  { name: 'compressed with lz4', matches: begins('\x04\x22\x4d\x18') },
  { name: 'a web page, not an image', matches: reads(/^\s*<(!doctype html|html)/i) },
];

const bootSector = begins('\x55\xaa', 510);
const partitionTable = begins('EFI PART', 512);
const disc = begins('CD001', 32_769);

/**
 * @param stated what somebody says that it is; `detect`: what it says itself
 * @throws ImageUnusable it is something else, two things at once, or nothing that is known
 */
export async function natureOf(
  bytes: ImageBytes,
  stated: ImageFormat | 'detect',
  kind: 'disk' | 'iso',
): Promise<Nature> {
  if (bytes.sizeBytes === 0) throw refuseImage('is empty', fetchAgain);
  const it = {
    head: await bytes.upTo(0, headBytes),
    tail: await bytes.upTo(Math.max(0, bytes.sizeBytes - tailBytes), tailBytes),
  };
  const found = signatures.filter(({ matches }) => matches(it));
  const [first, second] = found;
  if (first && second) throw refuseImage(`is ${first.name} and ${second.name} at once`, fetchAgain);
  if (!first) return plain(it, stated, kind);
  if (!first.nature) throw refuseImage(`is ${first.name}`, stated === 'raw' ? fetchAgain : makePlain);
  if (first.nature.kind === 'compressed') {
    if (partitionTable(it) || disc(it)) throw refuseImage(`is ${first.name} and a plain disk at once`, fetchAgain);
    return first.nature;
  }
  if (bootSector(it) || partitionTable(it) || disc(it)) {
    throw refuseImage(`is ${first.name} and a plain disk at once`, fetchAgain);
  }
  const { format } = first.nature;
  if (stated !== 'detect' && stated !== format) {
    const advice = `State its format as ${format}, or leave it out.`;
    throw refuseImage(`is stated to be ${stated} but is ${first.name}`, advice);
  }
  if (kind === 'iso') throw refuseImage(`is stated to be a disc but is ${first.name}`, 'Leave out --kind iso.');
  return first.nature;
}

function plain(it: Ends, stated: ImageFormat | 'detect', kind: 'disk' | 'iso'): Nature {
  const isDisk = bootSector(it) || partitionTable(it) || disc(it);
  if (stated === 'raw' || (stated === 'detect' && (kind === 'iso' || isDisk))) return image('raw');
  if (stated !== 'detect') throw refuseImage(`is no ${stated} image`, 'State the format that it has.');
  const advice = 'State that it is one, with --format raw, if it is a disk without a partition table.';
  throw refuseImage('begins like none of the formats that are known, nor like a disk', advice);
}
