// A guest for tests: a boot sector that is its own operating system. Boots within a fifth of a second under TCG, sleeps
// between clock ticks, greets on the serial port at each boot, sends back what it gets there, lets go of devices that are
// pulled, and switches itself off at the power button, unless it is made stubborn. Needs a PC with BIOS firmware; devices go on q35.

/** Printed at each boot. */
export const greeting = 'guest booted\r\n';

/** Firmware does not boot from a disk of a single sector. */
export const tinyGuestDiskBytes = 1024 * 1024;

/** Where the code has the bits of the power button: what is in PM1_EN decides whether a press is told at all. */
const buttonBitsOffset = 0x81;
/** Where it has the slots of a bus that it lets go of when that is asked for. */
const slotBitsOffset = 0x83;
const signatureOffset = 510;

/** A raw disk image. */
export function tinyGuestDisk({
  answersAcpi,
  letsGo = answersAcpi,
  greets = greeting,
  armsWatchdog = false,
  spins = false,
}: {
  answersAcpi: boolean;
  letsGo?: boolean;
  greets?: string;
  /** Starts the watchdog of a machine of legacy hardware, and never feeds it: two seconds later it barks. */
  armsWatchdog?: boolean;
  /** Never sleeps. */
  spins?: boolean;
}): Buffer {
  const disk = Buffer.alloc(tinyGuestDiskBytes);
  machineCode.copy(disk);
  disk.write(greets, machineCode.length, 'latin1');
  if (!answersAcpi) disk.writeUInt16LE(0, buttonBitsOffset);
  if (!letsGo) disk.writeUInt16LE(0, slotBitsOffset);
  if (!letsGo) startWith(disk, lockOffset, lockCode);
  if (armsWatchdog) startWith(disk, watchdogOffset, watchdogCode);
  if (spins) disk[machineCode.indexOf(sleepCode) + 1] = doNothing;
  disk.writeUInt16BE(0x55aa, signatureOffset);
  return disk;
}

/** Allows interrupts, and halts until the next one. */
const sleepCode = Buffer.from([0xfb, 0xf4]);
const doNothing = 0x90;

const lockOffset = 0x100;
const watchdogOffset = 0x180;

/** Runs code before all else; it goes on to the rest by itself. */
function startWith(disk: Buffer, offset: number, code: Buffer): void {
  // A jump, in place of the first three bytes; what those do, the code has done.
  disk[0] = 0xe9;
  disk.writeUInt16LE(offset - 3, 1);
  code.copy(disk, offset);
}

// A guest that keeps its devices locks the tray of its drive too, where that is on IDE. 16-bit code at 0x7d00. Ports: of the first device of the second IDE channel, data 0x170, select 0x176, command 0x177.
const lockCode = fromListing(`
  fa 31c0 8ed8 fc           ; lock:    cli / xor ax,ax / mov ds,ax / cld
  ba7601 b0a0 ee            ;          out 0x176,0xa0
  ba7101 30c0 ee            ;          out 0x171,0
  ba7701 b0a0 ee            ;          out 0x177,0xa0        a packet is to come
  ec 3cff 7413              ; ready:   in al,0x177 / cmp al,0xff / je done     there is no IDE
  a880 75f7 a808 74f3       ;          test al,0x80 / jnz ready / test al,8 / jz ready
  be357d b90600             ;          mov si,packet / mov cx,6
  ba7001 f36f               ;          mov dx,0x170 / rep outsw
  31c0 e9cefe               ; done:    xor ax,ax / jmp start+3
  1e000000 0100 000000000000; packet:  prevent medium removal
`);

// Starts an i6300esb on the first PCI bus. 16-bit code at 0x7d80. Configuration of PCI: address 0xcf8, data 0xcfc.
const watchdogCode = fromListing(`
  fa 66b900000080           ;          cli / mov ecx,0x80000000
  6689c8 baf80c 66ef        ; next:    out 0xcf8,ecx         which device is it
  bafc0c 66ed               ;          in eax,0xcfc
  663d8680ab25 7412         ;          cmp eax,0x25ab8086 / je found
  6681c100080000            ;          add ecx,0x800
  6681f900000180 72db eb21  ;          cmp ecx,0x80010000 / jb next / jmp done
  6689c8 0c60 baf80c 66ef   ; found:   out 0xcf8,ecx+0x60    configuration
  bafc0c b80400 ef          ;          out 0xcfc,4           by the fast clock
  6689c8 0c68 baf80c 66ef   ;          out 0xcf8,ecx+0x68    lock
  bafc0c b002 ee            ;          out 0xcfc,2           go
  31c0 e92ffe               ; done:    xor ax,ax / jmp start+3
`);

// 16-bit code at 0x7c00. Ports: COM1 is 0x3f8; of the ICH9, as SeaBIOS sets it up, PM1_STS 0x600, PM1_EN 0x602, PM1_CNT
// 0x604; of QEMU's PCI hot plug, slots to be ejected 0xcc4, eject 0xcc8, bus 0xcd0.
const machineCode = fromListing(`
  fa                        ; start:   cli
  31c0 8ed8 8ed0            ;          xor ax,ax / mov ds,ax / mov ss,ax
  bc007c                    ;          mov sp,0x7c00
  ea0f7c0000                ;          ljmp 0:begin
  baf903 30c0 ee            ; begin:   out 0x3f9,0           no serial interrupts
  ba0206 a1817c ef          ;          out 0x602,[button]    tell of the power button
  be857c                    ;          mov si,greeting
  ac 84c0 7405              ; print:   lodsb / test al,al / jz idle
  e84900 ebf6               ;          call put / jmp print
  fb f4                     ; idle:    sti / hlt             until the next tick of the clock
  b92f00                    ;          mov cx,47
  bad00c 660fb7c1 66ef      ; eject:   out 0xcd0,ecx         of each bus
  b2c4 66ed 2306837c 7404   ;          in eax,0xcc4 / and ax,[slots] / jz next
  b2c8 66ef                 ;          out 0xcc8,eax         take it
  49 79e6                   ; next:    dec cx / jns eject
  ba0006 ed f6c401 740e     ;          in ax,0x600 / test ah,1 / jz listen
  a1817c 85c0 7407          ;          mov ax,[button] / test ax,ax / jz listen
  ba0406 b80020 ef          ;          out 0x604,0x2000      off
  bafd03 ec a801 74c2       ; listen:  in al,0x3fd / test al,1 / jz idle
  baf803 ec e80200 ebef     ;          in al,0x3f8 / call put / jmp listen
  88c3                      ; put:     mov bl,al
  bafd03 ec a820 74f8       ; wait:    in al,0x3fd / test al,0x20 / jz wait
  88d8 baf803 ee c3         ;          out 0x3f8,bl / ret
  0001                      ; button:  bit 8
  ffff                      ; slots:   all, and the greeting after them
`);

function fromListing(listing: string): Buffer {
  const code = listing.split('\n').map((line) => line.split(';')[0]?.replaceAll(' ', ''));
  return Buffer.from(code.join(''), 'hex');
}
