// How the agent opens what is on a guest's disk: with the appliance at hand, which is built when a disk first needs it.
import type { CallContext } from '@virga/contract/agent/call-context';
import { type ContentsOptions, openContents } from '../../disk-contents/open-contents.ts';
import type { RawDisk } from '../../disk-contents/raw-disk.ts';
import type { AgentContext } from '../agent-context.ts';
import { builtImage } from '../built-image.ts';

const kept = { folder: 'appliance', suffix: '', what: 'the appliance that looks into disks' };

/** @throws OperationFailed the disk needs the appliance, and that cannot be built | CommandFailed */
export const openGuestContents = (
  context: AgentContext,
  disk: RawDisk,
  call: CallContext,
  options: Pick<ContentsOptions, 'epochSeconds'> = {},
): ReturnType<typeof openContents> =>
  openContents(disk, {
    ...options,
    appliance: async () => ({
      folder: await builtImage(context, context.appliance, kept, call),
      acceleration: (await context.accelerator.acceleration()).mode,
    }),
  });
