// Which addresses a download may connect to. Owns the rules: what is not a public address is refused, unless an administrator
// allows that network; what leads back to the host, to the cloud's own networks or to somebody's link is refused always.
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Never, whatever an administrator allows. */
const never: readonly string[] = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '255.255.255.255/32'],
  ...['::/128', '::1/128', 'fe80::/10', 'ff00::/8'],
  // IPv4 in other clothes, which a kernel or gateway may take off.
  ...['::/96', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16', '2001::/32', '::ffff:0:0:0/96'],
];
/** Unless allowed: somebody's own networks, and what is set aside for documentation and measurements. */
const byPermission: readonly string[] = [
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'],
  ...['192.0.0.0/24', '192.0.2.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['fc00::/7', 'fec0::/10', '2001:db8::/32', '100::/64'],
];

export type NetworkRules = { allowed: readonly string[]; refused: readonly string[] };

/** @returns why a download may not go there, as the end of a sentence; undefined: it may */
export function refusalOf(address: string, { allowed, refused }: NetworkRules): string | undefined {
  const plain = unmapped(address);
  const within = (networks: readonly string[]) => contains(networks, plain);
  if (within(never)) return 'is not an address of another machine on the Internet';
  if (within(ownAddresses())) return 'is this host itself';
  if (within(refused)) return "is in one of the cloud's own networks";
  if (within(byPermission) && !within(allowed)) return 'is in a private network, which an administrator has to allow';
  return undefined;
}

/** IPv4 that is written as IPv6 is judged as what it is. */
function unmapped(address: string): string {
  const [, dotted] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (dotted !== undefined) return dotted;
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const value = (Number.parseInt(high, 16) << 16) | Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

function contains(networks: readonly string[], address: string): boolean {
  const version = isIP(address);
  if (version === 0) return true;
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', length] = network.split('/');
    const family = isIP(base);
    // IPv4 is looked for among IPv6 too by the list itself, which would find ::/96 for every address.
    if (family === version) list.addSubnet(base, Number(length ?? (family === 4 ? 32 : 128)), `ipv${family as 4 | 6}`);
  }
  return list.check(address, `ipv${version as 4 | 6}`);
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.replace(/%.*$/, '')),
  );
}
