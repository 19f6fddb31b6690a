// The folder that everything of a cloud on this machine is in, as `server`, `up` and `down` name it.
import type { TextOption } from '@virga/cli/command';
import { defaultStateFolder } from '../server/folders.ts';

export const stateOption = {
  type: 'text',
  value: 'FOLDER',
  default: defaultStateFolder,
  summary: 'folder of the cloud on this machine',
} as const satisfies TextOption;
