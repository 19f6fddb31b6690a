// The images of the catalog that comes with Virga, as their makers publish them. A fingerprint stands here only where the
// project itself documents it; where a list of checksums has no signature that we know of, it is fetched over HTTPS alone.
// Only releases that are still supported.
// @see https://cloud.debian.org, https://documentation.ubuntu.com/public-images (verify an image checksum),
// https://wiki.almalinux.org/cloud/Generic-cloud.html, https://almalinux.org/security, https://rockylinux.org/resources/gpg-key-info,
// https://fedoraproject.org/security, https://gitlab.archlinux.org/archlinux/arch-boxes, https://docs.freebsd.org
import type { Architecture, CatalogImage } from '@virga/contract/rest/image-import';

export type CatalogEntry = Omit<CatalogImage, 'origin' | 'hasKey'>;

type Machine = Record<Architecture, string>;
const uname: Machine = { amd64: 'x86_64', arm64: 'aarch64' };
const debianName: Machine = { amd64: 'amd64', arm64: 'arm64' };

const ubuntuKey = 'D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81';
const rocky10Key = 'FC226859C0860BF0DDB95B085B106C736FEDFC85';
const openSuseKey = 'AD485664E901B867051AB15F35A2F86E29B700A4';
const archBoxesKey = '1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F';

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

const almaLinux = (version: string, fingerprint: string): CatalogEntry[] =>
  of({
    ...{ name: `almalinux-${version}`, title: `AlmaLinux ${version}`, version, machine: uname },
    ...{ defaultUser: 'almalinux', minimumMemoryMib: 1536 },
    folder: (machine) => `https://repo.almalinux.org/almalinux/${version}/cloud/${machine}/images`,
    file: (machine) => `AlmaLinux-${version}-GenericCloud-latest.${machine}.qcow2`,
    list: () => ({ file: 'CHECKSUM', algorithm: 'sha256' }),
    signature: { in: (list) => `${list}.asc`, fingerprint },
  });

/** Of Rocky Linux 9 nothing is signed beside the images. @see https://github.com/rocky-linux/checksums */
const rocky = (version: string, fingerprint?: string): CatalogEntry[] =>
  of({
    ...{ name: `rocky-${version}`, title: `Rocky Linux ${version}`, version, machine: uname },
    ...{ defaultUser: 'rocky', minimumMemoryMib: 1536 },
    folder: (machine) => `https://download.rockylinux.org/pub/rocky/${version}/images/${machine}`,
    file: (machine) => `Rocky-${version}-GenericCloud-Base.latest.${machine}.qcow2`,
    list: () => ({ file: 'CHECKSUM', algorithm: 'sha256' }),
    ...(fingerprint !== undefined && { signature: { in: (list) => `${list}.asc`, fingerprint } }),
  });

/** Not download.fedoraproject.org, which leads to another mirror each time, not all of which have HTTPS. */
const fedora = (version: string, build: string, fingerprint: string): CatalogEntry[] =>
  of({
    ...{ name: `fedora-${version}`, title: `Fedora Cloud ${version}`, version, machine: uname },
    ...{ defaultUser: 'fedora', minimumMemoryMib: 1024 },
    folder: (machine) => `https://dl.fedoraproject.org/pub/fedora/linux/releases/${version}/Cloud/${machine}/images`,
    file: (machine) => `Fedora-Cloud-Base-Generic-${version}-${build}.${machine}.qcow2`,
    list: (file) => ({
      file: `Fedora-Cloud-${version}-${build}-${file.includes('aarch64') ? 'aarch64' : 'x86_64'}-CHECKSUM`,
      algorithm: 'sha256',
    }),
    signature: { fingerprint },
  });

/** @param image what stands before and after the machine in the name of the file: other words in each release */
const alpine = (version: string, image: (machine: string) => string): CatalogEntry[] => {
  const branch = version.replace(/\.\d+$/, '');
  return of({
    ...{ name: `alpine-${branch.replace('.', '-')}`, title: `Alpine Linux ${branch}`, version, machine: uname },
    ...{ defaultUser: 'alpine', minimumMemoryMib: 256 },
    folder: () => `https://dl-cdn.alpinelinux.org/alpine/v${branch}/releases/cloud`,
    file: image,
    list: (file) => ({ file: `${file}.sha512`, algorithm: 'sha512' }),
  });
};

const freebsd = (version: string): CatalogEntry[] =>
  of({
    ...{ name: `freebsd-${version.replace('.', '-')}`, title: `FreeBSD ${version}`, version },
    machine: { amd64: 'amd64', arm64: 'arm64-aarch64' },
    ...{ defaultUser: 'freebsd', minimumMemoryMib: 512 },
    folder: (machine) =>
      `https://download.freebsd.org/releases/VM-IMAGES/${version}-RELEASE/${machine.replace('arm64-', '')}/Latest`,
    file: (machine) => `FreeBSD-${version}-RELEASE-${machine}-BASIC-CLOUDINIT-ufs.qcow2.xz`,
    list: () => ({ file: 'CHECKSUM.SHA512', algorithm: 'sha512' }),
  });

export const officialImages: readonly CatalogEntry[] = [
  ...debian('12', 'bookworm'),
  ...debian('13', 'trixie'),
  ...ubuntu('22.04', 'jammy'),
  ...ubuntu('24.04', 'noble'),
  ...ubuntu('26.04', 'resolute'),
  ...almaLinux('9', 'BF18AC2876178908D6E71267D36CB86CB86B3716'),
  ...almaLinux('10', 'EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572'),
  ...rocky('9'),
  ...rocky('10', rocky10Key),
  ...fedora('43', '1.6', 'C6E7F081CF80E13146676E88829B606631645531'),
  ...fedora('44', '1.7', '36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6'),
  ...of({
    ...{ name: 'opensuse-leap-16-0', title: 'openSUSE Leap 16.0', version: '16.0', machine: uname },
    ...{ defaultUser: 'opensuse', minimumMemoryMib: 1024 },
    folder: () => 'https://download.opensuse.org/distribution/leap/16.0/appliances',
    file: (machine) => `Leap-16.0-Minimal-VM.${machine}-Cloud.qcow2`,
    list: (file) => ({ file: `${file}.sha256`, algorithm: 'sha256' }),
    signature: { in: (list) => `${list}.asc`, fingerprint: openSuseKey },
  }),
  ...of({
    ...{ name: 'arch', title: 'Arch Linux', version: 'rolling', machine: uname },
    ...{ defaultUser: 'arch', minimumMemoryMib: 512 },
    folder: () => 'https://geo.mirror.pkgbuild.com/images/latest',
    file: (machine) => `Arch-Linux-${machine}-cloudimg.qcow2`,
    list: (file) => ({ file: `${file}.SHA256`, algorithm: 'sha256' }),
    signature: { in: (list) => `${list}.sig`, fingerprint: archBoxesKey },
  }).filter(({ architecture }) => architecture === 'amd64'),
  ...alpine('3.22.4', (machine) => `nocloud_alpine-3.22.4-${machine}-${firmware(machine)}-cloudinit-r0.qcow2`),
  ...alpine('3.23.4', (machine) => `nocloud_alpine-3.23.4-${machine}-${firmware(machine)}-cloudinit-r0.qcow2`),
  ...alpine('3.24.2', (machine) => `alpine-3.24.2-${machine}-cloudinit-r0.qcow2`),
  ...freebsd('14.4'),
  ...freebsd('15.1'),
];

function firmware(machine: string): string {
  return machine === 'aarch64' ? 'uefi' : 'bios';
}
