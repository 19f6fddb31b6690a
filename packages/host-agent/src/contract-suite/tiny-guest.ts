// A guest for tests: a boot sector that is its own operating system. Boots within a fifth of a second under TCG, sleeps
// between clock ticks, greets on the serial port at each boot, sends back what it gets there, and switches itself off at
// the power button, unless it is made stubborn. Needs a PC with BIOS firmware.

/** Printed at each boot. */
export const greeting = 'guest booted\r\n';

/** Firmware does not boot from a disk of a single sector. */
export const tinyGuestDiskBytes = 1024 * 1024;

/** Where the code has the bits of the power button: what is in PM1_EN decides whether a press is told at all. */
const buttonBitsOffset = 0x64;
const signatureOffset = 510;

/** A raw disk image. */
export function tinyGuestDisk({ answersAcpi }: { answersAcpi: boolean }): Buffer {
  const disk = Buffer.alloc(tinyGuestDiskBytes);
  machineCode.copy(disk);
  disk.write(greeting, machineCode.length, 'latin1');
  if (!answersAcpi) disk.writeUInt16LE(0, buttonBitsOffset);
  disk.writeUInt16BE(0x55aa, signatureOffset);
  return disk;
}

// 16-bit code at 0x7c00. Ports: COM1 is 0x3f8; of the ICH9, as SeaBIOS sets it up, PM1_STS 0x600, PM1_EN 0x602, PM1_CNT 0x604.
const machineCode = fromListing(`
  fa                        ; start:   cli
  31c0 8ed8 8ed0            ;          xor ax,ax / mov ds,ax / mov ss,ax
  bc007c                    ;          mov sp,0x7c00
  ea0f7c0000                ;          ljmp 0:begin
  baf903 30c0 ee            ; begin:   out 0x3f9,0           no serial interrupts
  ba0206 a1647c ef          ;          out 0x602,[button]    tell of the power button
  be667c                    ;          mov si,greeting
  ac 84c0 7405              ; print:   lodsb / test al,al / jz idle
  e82c00 ebf6               ;          call put / jmp print
  fb f4                     ; idle:    sti / hlt             until the next tick of the clock
  ba0006 ed f6c401 740e     ;          in ax,0x600 / test ah,1 / jz listen
  a1647c 85c0 7407          ;          mov ax,[button] / test ax,ax / jz listen
  ba0406 b80020 ef          ;          out 0x604,0x2000      off
  bafd03 ec a801 74df       ; listen:  in al,0x3fd / test al,1 / jz idle
  baf803 ec e80200 ebef     ;          in al,0x3f8 / call put / jmp listen
  88c3                      ; put:     mov bl,al
  bafd03 ec a820 74f8       ; wait:    in al,0x3fd / test al,0x20 / jz wait
  88d8 baf803 ee c3         ;          out 0x3f8,bl / ret
  0001                      ; button:  bit 8, and the greeting after it
`);

function fromListing(listing: string): Buffer {
  const code = listing.split('\n').map((line) => line.split(';')[0]?.replaceAll(' ', ''));
  return Buffer.from(code.join(''), 'hex');
}
