// Options that say what an instance is for and what becomes of it when nobody looks: of launch, and of set.
import { VirgaError } from '@virga/contract/errors';
import type { UpdateInstance } from '@virga/contract/rest/instance-attributes';
import type { CommandInput } from '../command.ts';
import { readMoment } from '../moment.ts';

export const attributeOptions = {
  description: { type: 'text', value: 'TEXT', summary: 'what it is for' },
  tag: { type: 'texts', value: 'KEY=VALUE', summary: 'a tag; may be repeated' },
  protect: { type: 'flag', summary: 'it is not deleted until the protection is taken away' },
  autostart: {
    type: 'text',
    value: 'POLICY',
    choices: ['restore', 'always', 'never'],
    summary: 'after a restart of the host it is as before, always started, or never',
  },
  onCrash: {
    type: 'text',
    value: 'POLICY',
    choices: ['restart', 'stop'],
    summary: 'when its guest crashes it is started again, or left off',
  },
  expires: {
    type: 'text',
    value: 'WHEN',
    summary: 'end of its lease: a time such as 2030-01-31T18:00Z, or one from now such as 8h or 2d',
  },
  expiryAction: {
    type: 'text',
    value: 'ACTION',
    choices: ['stop', 'delete'],
    summary: 'what happens at the end of its lease; default stop',
  },
  noMerge: { type: 'flag', summary: 'its memory is never merged with that of others, as of its next start' },
} as const;

type Options = CommandInput<Record<never, never>, typeof attributeOptions>['options'];
type Attributes = Pick<
  UpdateInstance,
  'description' | 'deleteProtection' | 'autostart' | 'crashPolicy' | 'expiryAction' | 'noMerge'
> & { tags?: Record<string, string>; expiresAt?: string };

/** What was given. @throws InvalidArgument */
export function readAttributes(options: Options, nowMs: number): Attributes {
  const { description, tag, protect, autostart, onCrash, expires, expiryAction, noMerge } = options;
  return {
    ...(description !== undefined && { description }),
    ...(tag.length > 0 && { tags: Object.fromEntries(tag.map(readTag)) }),
    ...(protect && { deleteProtection: true }),
    ...(noMerge && { noMerge: true }),
    ...(autostart !== undefined && { autostart }),
    ...(onCrash !== undefined && { crashPolicy: onCrash }),
    ...(expires !== undefined && { expiresAt: readMoment('--expires', expires, nowMs) }),
    ...(expiryAction !== undefined && { expiryAction }),
  };
}

function readTag(text: string): [key: string, value: string] {
  const end = text.indexOf('=');
  if (end > 0) return [text.slice(0, end), text.slice(end + 1)];
  throw new VirgaError('InvalidArgument', {
    detail: `--tag cannot be ${JSON.stringify(text)}.`,
    action: 'Give KEY=VALUE, such as env=test.',
  });
}
