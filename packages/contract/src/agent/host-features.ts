// What not every host can give a machine, and what is said when one cannot: the same from the control plane, which asks the
// host's facts, and from an agent, which looks again.
import { type Static, Type } from 'typebox';
import { VirgaError } from '../errors.ts';
import type { DesiredInstance } from './desired.ts';

export const HostFeature = Type.Union([
  Type.Literal('uefi'),
  Type.Literal('uefi-secure', { description: 'UEFI with Secure Boot' }),
  Type.Literal('tpm'),
  Type.Literal('emulated', { description: 'machines without virtio devices' }),
  Type.Literal('legacy', { description: 'machines of the 1990s' }),
]);
export type HostFeature = Static<typeof HostFeature>;

/** What the host must be able to give such a machine. */
export function neededFeatures({
  hardware,
  firmware,
  tpm,
}: Pick<DesiredInstance, 'hardware' | 'firmware' | 'tpm'>): HostFeature[] {
  return [
    ...(hardware === 'virtio' ? [] : [hardware]),
    ...(firmware === 'bios' ? [] : [firmware]),
    ...(tpm ? (['tpm'] as const) : []),
  ];
}

const lacking: Record<HostFeature, { detail: string; action: string; field: string }> = {
  uefi: {
    detail: 'has no UEFI firmware for guests',
    action: 'Install it there: apt-get install ovmf.',
    field: '/firmware',
  },
  'uefi-secure': {
    detail: 'has no UEFI firmware with Secure Boot for guests',
    action: 'Install it there: apt-get install ovmf.',
    field: '/firmware',
  },
  tpm: {
    detail: 'cannot emulate a TPM',
    action: 'Install what does it there: apt-get install swtpm swtpm-tools.',
    field: '/tpm',
  },
  emulated: {
    detail: 'has no machines without virtio devices',
    action: 'Use virtio hardware, or a host with x86_64 processors.',
    field: '/hardware',
  },
  legacy: {
    detail: 'has no machines of that age',
    action: 'Use virtio hardware, or a host with x86_64 processors.',
    field: '/hardware',
  },
};

/** @param host as a subject, such as "Host alpha" */
export function hostIncapable(host: string, feature: HostFeature): VirgaError {
  const { detail, ...rest } = lacking[feature];
  return new VirgaError('HostIncapable', { detail: `${host} ${detail}.`, ...rest });
}
