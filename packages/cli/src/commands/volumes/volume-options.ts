// What a volume can be made as, as options.
export const formatOption = {
  type: 'text',
  value: 'FORMAT',
  choices: ['qcow2', 'raw'],
  summary: 'qcow2, the default, or raw: the blocks of the guest as they are',
} as const;

export const preallocationOption = {
  type: 'text',
  value: 'HOW',
  choices: ['off', 'metadata', 'falloc', 'full'],
  summary: 'what is taken at once: off, nothing; falloc, all of it; full, all of it, written',
} as const;
