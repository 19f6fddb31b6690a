// Tar archives and OVF descriptors, good and bad ones, for tests of what is imported.

export type OvfOptions = { disks?: number; href?: string; parent?: boolean; entities?: boolean };

export function ovf({ disks = 1, href = 'disk.vmdk', parent = false, entities = false }: OvfOptions = {}): string {
  const disk = (index: number) =>
    `<Disk ovf:diskId="d${index}" ovf:fileRef="f1" ovf:capacity="1"${parent ? ' ovf:parentRef="d9"' : ''}/>`;
  return `<?xml version="1.0"?>${entities ? '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' : ''}
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="f1" ovf:href="${href}"/></References>
  <DiskSection><Info>disks</Info>${Array.from({ length: disks }, (_, index) => disk(index)).join('')}</DiskSection>
</Envelope>`;
}

export function tar(files: readonly [name: string, content: Buffer][]): Buffer {
  const parts = files.flatMap(([name, content]) => [
    tarHeader(name, content.length, '0'),
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export function tarHeader(name: string, sizeBytes: number, type: string, linkName = ''): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  header.write(name, 0);
  header.write(
    `${octal(0o644, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(sizeBytes, 11)}\0${octal(0, 11)}\0        `,
    100,
  );
  header.write(type, 156);
  header.write(linkName, 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return header;
}
