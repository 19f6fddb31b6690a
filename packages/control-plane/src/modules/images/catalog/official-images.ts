// The images of the catalog that comes with Virga, as their makers publish them. A fingerprint stands here only where the
// project itself documents it; where a list of checksums has no signature that we know of, it is fetched over HTTPS alone.
// @see https://cloud.debian.org, https://documentation.ubuntu.com/public-images (verify an image checksum),
// https://wiki.almalinux.org/cloud/Generic-cloud.html, https://fedoraproject.org/security, https://docs.freebsd.org
import type { Architecture, CatalogImage } from '@virga/contract/rest/image-import';

export type CatalogEntry = Omit<CatalogImage, 'origin' | 'hasKey'>;

type Machine = Record<Architecture, string>;
const uname: Machine = { amd64: 'x86_64', arm64: 'aarch64' };
const debianName: Machine = { amd64: 'amd64', arm64: 'arm64' };

const ubuntuKey = 'D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81';
const fedora43Key = 'C6E7F081CF80E13146676E88829B606631645531';
const almaLinux9Key = 'BF18AC2876178908D6E71267D36CB86CB86B3716';

type Family = Omit<CatalogEntry, 'architecture' | 'url' | 'checksums' | 'format'> & {
  format?: CatalogEntry['format'];
  machine: Machine;
  folder: (machine: string) => string;
  file: (machine: string) => string;
  list: (file: string) => { file: string; algorithm: 'sha256' | 'sha512' };
  /** `in`: in another file beside the list; absent: the list is signed within itself. */
  signature?: { in?: (list: string) => string; fingerprint: string };
};

const of = (family: Family): CatalogEntry[] =>
  (['amd64', 'arm64'] as const).map((architecture) => {
    const { machine, folder, file, list, signature, format = 'qcow2', ...rest } = family;
    const name = machine[architecture];
    const [place, image] = [folder(name), file(name)];
    const sums = list(image);
    const signed = signature && {
      ...(signature.in && { url: `${place}/${signature.in(sums.file)}` }),
      fingerprint: signature.fingerprint,
    };
    return {
      ...{ ...rest, architecture, format, url: `${place}/${image}` },
      checksums: {
        ...{ url: `${place}/${sums.file}`, algorithm: sums.algorithm },
        ...(signed && { signature: signed }),
      },
    };
  });

const debian = (version: string, codename: string): CatalogEntry[] =>
  of({
    name: `debian-${version}`,
    title: `Debian ${version} (${codename})`,
    ...{ version, machine: debianName, defaultUser: 'debian', minimumMemoryMib: 512 },
    folder: () => `https://cloud.debian.org/images/cloud/${codename}/latest`,
    file: (machine) => `debian-${version}-genericcloud-${machine}.qcow2`,
    list: () => ({ file: 'SHA512SUMS', algorithm: 'sha512' }),
  });

const ubuntu = (version: string, codename: string): CatalogEntry[] =>
  of({
    name: `ubuntu-${version.replace('.', '-')}`,
    title: `Ubuntu ${version} LTS (${codename})`,
    ...{ version, machine: debianName, defaultUser: 'ubuntu', minimumMemoryMib: 1024 },
    folder: () => `https://cloud-images.ubuntu.com/${codename}/current`,
    file: (machine) => `${codename}-server-cloudimg-${machine}.img`,
    list: () => ({ file: 'SHA256SUMS', algorithm: 'sha256' }),
    signature: { in: (list) => `${list}.gpg`, fingerprint: ubuntuKey },
  });

export const officialImages: readonly CatalogEntry[] = [
  ...debian('12', 'bookworm'),
  ...debian('13', 'trixie'),
  ...ubuntu('22.04', 'jammy'),
  ...ubuntu('24.04', 'noble'),
  ...of({
    ...{ name: 'almalinux-9', title: 'AlmaLinux 9', version: '9', machine: uname },
    ...{ defaultUser: 'almalinux', minimumMemoryMib: 1536 },
    folder: (machine) => `https://repo.almalinux.org/almalinux/9/cloud/${machine}/images`,
    file: (machine) => `AlmaLinux-9-GenericCloud-latest.${machine}.qcow2`,
    list: () => ({ file: 'CHECKSUM', algorithm: 'sha256' }),
    signature: { in: (list) => `${list}.asc`, fingerprint: almaLinux9Key },
  }),
  ...of({
    ...{ name: 'rocky-9', title: 'Rocky Linux 9', version: '9', machine: uname },
    ...{ defaultUser: 'rocky', minimumMemoryMib: 1536 },
    folder: (machine) => `https://download.rockylinux.org/pub/rocky/9/images/${machine}`,
    file: (machine) => `Rocky-9-GenericCloud-Base.latest.${machine}.qcow2`,
    list: (file) => ({ file: `${file}.CHECKSUM`, algorithm: 'sha256' }),
  }),
  ...of({
    ...{ name: 'fedora-43', title: 'Fedora Cloud 43', version: '43', machine: uname },
    ...{ defaultUser: 'fedora', minimumMemoryMib: 1024 },
    folder: (machine) => `https://download.fedoraproject.org/pub/fedora/linux/releases/43/Cloud/${machine}/images`,
    file: (machine) => `Fedora-Cloud-Base-Generic-43-1.6.${machine}.qcow2`,
    list: (file) => ({
      file: `Fedora-Cloud-43-1.6-${file.includes('aarch64') ? 'aarch64' : 'x86_64'}-CHECKSUM`,
      algorithm: 'sha256',
    }),
    signature: { fingerprint: fedora43Key },
  }),
  ...of({
    ...{ name: 'opensuse-leap-15-6', title: 'openSUSE Leap 15.6', version: '15.6', machine: uname },
    ...{ defaultUser: 'opensuse', minimumMemoryMib: 1024 },
    folder: () => 'https://download.opensuse.org/distribution/leap/15.6/appliances',
    file: (machine) => `openSUSE-Leap-15.6-Minimal-VM.${machine}-Cloud.qcow2`,
    list: (file) => ({ file: `${file}.sha256`, algorithm: 'sha256' }),
  }),
  ...of({
    ...{ name: 'arch', title: 'Arch Linux', version: 'rolling', machine: uname },
    ...{ defaultUser: 'arch', minimumMemoryMib: 512 },
    folder: () => 'https://geo.mirror.pkgbuild.com/images/latest',
    file: (machine) => `Arch-Linux-${machine}-cloudimg.qcow2`,
    list: (file) => ({ file: `${file}.SHA256`, algorithm: 'sha256' }),
  }).filter(({ architecture }) => architecture === 'amd64'),
  ...of({
    ...{ name: 'alpine-3-22', title: 'Alpine Linux 3.22', version: '3.22.2', machine: uname },
    ...{ defaultUser: 'alpine', minimumMemoryMib: 256 },
    folder: () => 'https://dl-cdn.alpinelinux.org/alpine/v3.22/releases/cloud',
    file: (machine) => `nocloud_alpine-3.22.2-${machine}-${machine === 'aarch64' ? 'uefi' : 'bios'}-cloudinit-r0.qcow2`,
    list: (file) => ({ file: `${file}.sha512`, algorithm: 'sha512' }),
  }),
  ...of({
    ...{ name: 'freebsd-14-3', title: 'FreeBSD 14.3', version: '14.3', format: 'qcow2' },
    machine: { amd64: 'amd64', arm64: 'arm64-aarch64' },
    ...{ defaultUser: 'freebsd', minimumMemoryMib: 512 },
    folder: (machine) =>
      `https://download.freebsd.org/releases/VM-IMAGES/14.3-RELEASE/${machine.replace('arm64-', '')}/Latest`,
    file: (machine) => `FreeBSD-14.3-RELEASE-${machine}-BASIC-CLOUDINIT-ufs.qcow2.xz`,
    list: () => ({ file: 'CHECKSUM.SHA512', algorithm: 'sha512' }),
  }),
];
