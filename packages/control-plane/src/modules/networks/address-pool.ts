// The addresses of a network that can be leased. Pure; the store keeps who holds what.
import { VirgaError } from '@virga/contract/errors';
import ipaddr from 'ipaddr.js';

export type AddressRange = { cidr: string; gateway: string; first: number; last: number };

/** Smallest network that has a gateway and an address to lease. */
const maximumPrefix = 30;
const minimumPrefix = 16;

/**
 * Reads a network that guests can live in.
 * @throws InvalidArgument with the field /cidr: not an IPv4 network, host bits set, too small or large, not private
 */
export function addressRange(text: string): AddressRange {
  const [address = '', prefixText = ''] = text.split('/');
  const prefix = Number(prefixText);
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) || !/^\d{1,2}$/.test(prefixText) || prefix > 32) {
    throw invalid(`${text} is not an IPv4 network.`, 'Write it like 10.77.0.0/24.');
  }
  if (prefix < minimumPrefix || prefix > maximumPrefix) {
    throw invalid(
      `A network of /${prefix} cannot be used.`,
      `Choose a prefix from /${minimumPrefix} to /${maximumPrefix}.`,
    );
  }
  const base = toNumber(address);
  const size = 2 ** (32 - prefix);
  if (base % size !== 0) {
    throw invalid(`${text} has host bits set.`, `Write ${toAddress(base - (base % size))}/${prefix}.`);
  }
  if (ipaddr.IPv4.parse(address).range() !== 'private') {
    throw invalid(`${text} is not a private network.`, 'Choose one from 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.');
  }
  return { cidr: text, gateway: toAddress(base + 1), first: base + 2, last: base + size - 2 };
}

export function addressCount({ first, last }: AddressRange): number {
  return last - first + 1;
}

function toNumber(address: string): number {
  return ipaddr.IPv4.parse(address).octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

function invalid(detail: string, action: string): VirgaError {
  return new VirgaError('InvalidArgument', { detail, action, field: '/cidr' });
}
