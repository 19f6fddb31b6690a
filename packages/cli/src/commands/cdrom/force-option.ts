import type { FlagOption } from '../../command.ts';

export const forceOption = {
  type: 'flag',
  summary: 'open the tray also when the guest has locked it',
} as const satisfies FlagOption;
