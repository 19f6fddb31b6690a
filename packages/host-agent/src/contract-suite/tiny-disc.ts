// A disc for tests: an ISO 9660 image with nothing on it but the tiny guest, which the firmware starts by El Torito without
// emulation of a disk.
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
  const disc = Buffer.alloc(tinyDiscBytes);
  const at = (sector: number) => disc.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
  primaryDescriptor(at(firstDescriptor));
  bootRecord(at(firstDescriptor + 1));
  descriptor(at(firstDescriptor + 2), 255);
  bootCatalog(at(catalogSector));
  tinyGuestDisk({ answersAcpi: true, ...(greets !== undefined && { greets }) }).copy(at(bootSector), 0, 0, 512);
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
  entry.writeUInt16LE(1, 6);
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
