// Options of how the vCPUs of an instance run, in the words of the API.
import { parseCpuList } from '@virga/contract/agent/cpu-list';
import type { CpuTuning } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';

const policies = ['shared', 'dedicated', 'numa', 'isolated'] as const;

export const cpuPolicyOption = {
  type: 'text',
  value: 'POLICY',
  choices: policies,
  summary: 'shared CPUs, dedicated ones, all in one NUMA node, or ones that the kernel keeps free',
} as const;

/** Of a type, or of a launch. */
export const cpuOptions = {
  cpuPolicy: cpuPolicyOption,
  cpuShares: {
    type: 'integer',
    value: 'N',
    summary: 'weight when CPUs are short; a guest without has 100',
    minimum: 1,
    maximum: 10_000,
  },
  cpuCap: {
    type: 'integer',
    value: 'PERCENT',
    summary: 'at most this much of a CPU for each vCPU',
    minimum: 1,
    maximum: 100,
  },
} as const;

type Given = {
  cpuPolicy?: (typeof policies)[number] | undefined;
  cpuShares?: number | undefined;
  cpuCap?: number | undefined;
};

export const readCpu = ({ cpuPolicy, cpuShares, cpuCap }: Given) => ({
  ...(cpuPolicy !== undefined && { cpuPolicy }),
  ...(cpuShares !== undefined && { cpuShares }),
  ...(cpuCap !== undefined && { cpuCapPercent: cpuCap }),
});

/** @throws InvalidArgument */
export function readCpuList(what: string, text: string): number[] {
  try {
    return parseCpuList(text);
  } catch (error) {
    throw new VirgaError('InvalidArgument', {
      detail: `${what} cannot be ${JSON.stringify(text)}.`,
      action: 'Give numbers and ranges, such as 2,3 or 4-7.',
      cause: error,
    });
  }
}

/** Null: as every guest's. */
export function describeCpu({ policy, hostCpus, node, shares, capPercent }: CpuTuning): string | null {
  const parts = [
    policy === 'shared' ? null : policy,
    hostCpus.length > 0 ? `on CPU ${hostCpus.join(', ')}` : null,
    node === null ? null : `in NUMA node ${node}`,
    shares === null ? null : `${shares} shares`,
    capPercent === null ? null : `at most ${capPercent} % each`,
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join(', ');
}
