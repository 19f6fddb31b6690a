// How the vCPUs of an instance run on its host.
import { type Static, Type } from 'typebox';
import { CpuPolicy, CpuTuning } from '../agent/desired.ts';
import { Nullable } from './shared.ts';

const Shares = Type.Integer({
  minimum: 1,
  maximum: 10_000,
  description: 'weight against other guests when CPUs are short; a guest without one has 100',
});
const CapPercent = Type.Integer({
  minimum: 1,
  maximum: 100,
  description: 'at most this much of a CPU for each vCPU',
});

/** Fields of an instance type, and of a launch. */
export const chosenCpu = {
  cpuPolicy: Type.Optional(CpuPolicy),
  cpuShares: Type.Optional(Shares),
  cpuCapPercent: Type.Optional(CapPercent),
};

/** Fields of an instance. */
export const cpuFields = { cpu: CpuTuning };

export const ChangeCpu = Type.Object(
  {
    policy: Type.Optional(CpuPolicy),
    shares: Type.Optional(Nullable(Shares)),
    capPercent: Type.Optional(Nullable(CapPercent)),
  },
  { $id: 'ChangeCpu', additionalProperties: false, description: 'what is left out stays; null: none' },
);
export type ChangeCpu = Static<typeof ChangeCpu>;

export const PinCpus = Type.Object(
  {
    cpus: Type.Array(Type.Integer({ minimum: 0, maximum: 8191 }), {
      minItems: 1,
      maxItems: 512,
      uniqueItems: true,
      description: 'host CPU of each vCPU, in their order',
    }),
  },
  { $id: 'PinCpus', additionalProperties: false },
);
export type PinCpus = Static<typeof PinCpus>;
