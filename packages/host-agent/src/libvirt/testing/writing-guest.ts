// A guest for tests that boots in a moment and writes when it is told to: a sector for each byte that it gets on its serial
// port, at a place where its disk has nothing yet. It says R when it is ready, W when it has written, E when it could not.
const diskBytes = 1024 * 1024;
const sectorBytes = 512;

const machineCode = fromListing(`
  fa 31c0 8ed8 8ec0 8ed0    ;        cli / xor ax,ax / ds, es, ss = 0
  bc007c fb                 ;        mov sp,0x7c00 / sti
  b052 baf803 ee            ;        say R: ready
  f4                        ; wait:  hlt
  bafd03 ec a801 74f7       ;        in al,0x3fd / test al,1 / jz wait
  baf803 ec                 ;        in al,0x3f8
  b80043 b280 be3a7c cd13   ;        ax 0x4300: write / dl drive / si = what / int 0x13
  b057 7302 b045            ;        say W: written, or E: error
  baf803 ee                 ;        out 0x3f8,al
  ebdd                      ;        jmp wait
`);
const driveOffset = machineCode.indexOf(Buffer.from('b280be', 'hex')) + 1;
const whatOffset = 0x3a;
/** One sector from 0:0x7c00 to sector 0x10000. */
const what = Buffer.from('10000100007c00000000010000000000', 'hex');

/** Where it writes on its disk. */
export const writtenOffset = 0x10000 * sectorBytes;

/** @param drive as the BIOS counts those that it may boot from: 0x80 is the root disk */
export function writingGuestDisk(drive = 0x80): Buffer {
  const disk = Buffer.alloc(diskBytes);
  machineCode.copy(disk);
  disk.writeUInt8(drive, driveOffset);
  what.copy(disk, whatOffset);
  disk.writeUInt16BE(0x55aa, sectorBytes - 2);
  return disk;
}

/** What it writes: its own first sector. */
export const writtenSector = (drive?: number): Buffer => writingGuestDisk(drive).subarray(0, sectorBytes);

function fromListing(listing: string): Buffer {
  const code = listing.split('\n').map((line) => line.split(';')[0]?.replaceAll(' ', ''));
  return Buffer.from(code.join(''), 'hex');
}
