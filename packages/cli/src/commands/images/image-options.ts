// What can be said of an image wherever it comes from, as options.
import { visibilityOption } from '../shared-options.ts';

export const kindOption = {
  type: 'text',
  value: 'KIND',
  choices: ['disk', 'iso'],
  default: 'disk',
  summary: 'a disk to clone, or an ISO image for CD-ROM drives',
} as const;

/** Where not all of the command needs that role. */
export const visibilityForAdmins = {
  ...visibilityOption,
  summary: `${visibilityOption.summary}, which needs the cloud role admin`,
} as const;

export const guestOptions = {
  loginUser: { type: 'text', value: 'NAME', summary: 'who to log in as over SSH' },
  minimumMemory: {
    type: 'integer',
    value: 'MIB',
    summary: 'memory without which it does not boot',
    minimum: 0,
    maximum: 16_777_216,
  },
} as const;

export const readGuestOptions = (given: { loginUser?: string | undefined; minimumMemory?: number | undefined }) => ({
  ...(given.loginUser !== undefined && { defaultUser: given.loginUser }),
  ...(given.minimumMemory !== undefined && { minimumMemoryMib: given.minimumMemory }),
});
