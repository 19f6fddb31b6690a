// Discs for tests: ISO 9660 images with nothing on them but the tiny guest, or what installs it, which the firmware starts
// by El Torito without emulation of a disk.
// @see ECMA-119, and El Torito Bootable CD-ROM Format Specification 1.0
import { tinyGuestDisk } from './tiny-guest.ts';

const sectorBytes = 2048;
const firstDescriptor = 16;
const catalogSector = 19;
const bootSector = 20;
const rootSector = 21;
const sectors = 64;
export const tinyDiscBytes = sectors * sectorBytes;

/** @param greets what it prints at each boot, as long as what the guest on a disk prints or shorter */
export function tinyGuestDisc({ greets }: { greets?: string } = {}): Buffer {
  return discOf(bootSectorOf({ greets }));
}

/** An installer: writes the tiny guest to the first disk of the machine, says nothing, and resets. */
export function tinyInstallerDisc(): Buffer {
  const program = Buffer.alloc(sectorBytes);
  installer.copy(program);
  bootSectorOf({}).copy(program, installedOffset);
  return discOf(program);
}

const bootSectorBytes = 512;
const installedOffset = bootSectorBytes;
const bootSectorOf = ({ greets }: { greets?: string | undefined }): Buffer =>
  tinyGuestDisk({ answersAcpi: true, ...(greets !== undefined && { greets }) }).subarray(0, bootSectorBytes);

// 16-bit code, loaded at 0x7c00 with what is to be installed after it.
const installer = Buffer.from(
  [
    'fa 31c0 8ed8 8ec0 8ed0', // cli / xor ax,ax / mov ds,ax / mov es,ax / mov ss,ax
    'bc007c fb bb007e', // mov sp,0x7c00 / sti / mov bx,0x7e00
    'b80103 b90100 ba8000 cd13', // write one sector at bx as the first one of disk 0x80
    '7204 b0fe e664', // jc halt / out 0x64,0xfe: reset
    'f4 ebfd', // halt: hlt / jmp halt
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);

/** @param program what the firmware starts, at most a sector */
function discOf(program: Buffer): Buffer {
  const disc = Buffer.alloc(tinyDiscBytes);
  const at = (sector: number) => disc.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
  primaryDescriptor(at(firstDescriptor));
  bootRecord(at(firstDescriptor + 1));
  descriptor(at(firstDescriptor + 2), 255);
  bootCatalog(at(catalogSector));
  program.copy(at(bootSector));
  directoryRecord(at(rootSector), 0);
  directoryRecord(at(rootSector).subarray(34), 1);
  return disc;
}

function descriptor(sector: Buffer, type: number): void {
  sector[0] = type;
  sector.write('CD001', 1, 'latin1');
  sector[6] = 1;
}

function primaryDescriptor(sector: Buffer): void {
  descriptor(sector, 1);
  sector.fill(' ', 8, 72, 'latin1');
  sector.write('TINY', 40, 'latin1');
  bothEndian32(sector, 80, sectors);
  for (const [offset, value] of [
    [120, 1],
    [124, 1],
    [128, sectorBytes],
  ] as const) {
    sector.writeUInt16LE(value, offset);
    sector.writeUInt16BE(value, offset + 2);
  }
  directoryRecord(sector.subarray(156), 0);
  sector[881] = 1;
}

function bootRecord(sector: Buffer): void {
  descriptor(sector, 0);
  sector.write('EL TORITO SPECIFICATION', 7, 'latin1');
  sector.writeUInt32LE(catalogSector, 71);
}

function bootCatalog(sector: Buffer): void {
  const validation = sector.subarray(0, 32);
  validation[0] = 1;
  validation.writeUInt16LE(0xaa55, 30);
  let sum = 0;
  for (let offset = 0; offset < 32; offset += 2) sum += validation.readUInt16LE(offset);
  validation.writeUInt16LE((0x10000 - (sum & 0xffff)) & 0xffff, 28);
  const entry = sector.subarray(32, 64);
  entry[0] = 0x88;
  entry.writeUInt16LE(sectorBytes / bootSectorBytes, 6);
  entry.writeUInt32LE(bootSector, 8);
}

/** Of the root: itself (0) or its parent (1), which is itself too. */
function directoryRecord(record: Buffer, name: 0 | 1): void {
  record[0] = 34;
  bothEndian32(record, 2, rootSector);
  bothEndian32(record, 10, sectorBytes);
  record[25] = 2;
  record.writeUInt16LE(1, 28);
  record.writeUInt16BE(1, 30);
  record[32] = 1;
  record[33] = name;
}

function bothEndian32(buffer: Buffer, offset: number, value: number): void {
  buffer.writeUInt32LE(value, offset);
  buffer.writeUInt32BE(value, offset + 4);
}
