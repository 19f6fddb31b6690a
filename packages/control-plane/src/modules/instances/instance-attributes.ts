// The rules of what an instance is called and what becomes of it when nobody looks, pure: which tags are possible, when an
// expiry warns, and what does not go together. What is refused says the field.
import { VirgaError } from '@virga/contract/errors';
import {
  type Autostart,
  type CrashPolicy,
  type ExpiryAction,
  maxTagKeyLength,
  maxTags,
  type Tags,
  type UpdateInstance,
} from '@virga/contract/rest/instance-attributes';
import type { LaunchInstance } from '@virga/contract/rest/instances';

/** How long before an instance expires people are told. */
export const expiryWarningMs = 10 * 60_000;

export type Expiry = { expires_at: Date | null; expiry_action: ExpiryAction | null; expiry_due_at: Date | null };

export const neverExpires: Expiry = { expires_at: null, expiry_action: null, expiry_due_at: null };

export type LaunchAttributes = Expiry & {
  description: string;
  tags: string;
  delete_protection: boolean;
  autostart: Autostart;
  crash_policy: CrashPolicy;
  no_merge: boolean;
};

/** The columns of a launch. @throws InvalidArgument */
export function launchAttributesOf(body: LaunchInstance, now: Date): LaunchAttributes {
  const expiry = expiryOf(body, neverExpires, now) ?? neverExpires;
  const isProtected = body.deleteProtection ?? false;
  requireNoProtectedExpiry(isProtected, expiry.expiry_action, '/expiryAction');
  return {
    description: readDescription(body.description ?? ''),
    tags: JSON.stringify(mergeTags({}, body.tags ?? {})),
    delete_protection: isProtected,
    autostart: body.autostart ?? 'restore',
    crash_policy: body.crashPolicy ?? 'restart',
    no_merge: body.noMerge ?? false,
    ...expiry,
  };
}

type Asked = Pick<UpdateInstance, 'expiresAt' | 'expiryAction'>;

/**
 * The expiry that follows from what was asked for and from what was so before; undefined when it stays as it is.
 * @throws InvalidArgument it would have passed already, or there is an action without a time
 */
export function expiryOf({ expiresAt, expiryAction }: Asked, before: Expiry, now: Date): Expiry | undefined {
  if (expiresAt === undefined && expiryAction === undefined) return undefined;
  const at = expiresAt === undefined ? before.expires_at : expiresAt === null ? null : new Date(expiresAt);
  if (at === null) {
    if (expiryAction === undefined) return neverExpires;
    throw new VirgaError('InvalidArgument', {
      detail: 'What happens at the expiry was given, but not when that is.',
      action: 'Give the time too, as expiresAt.',
      field: '/expiryAction',
    });
  }
  if (Number.isNaN(at.getTime())) {
    throw new VirgaError('InvalidArgument', {
      detail: `${expiresAt} is no time of any calendar.`,
      action: 'Give one such as 2030-01-31T12:00:00Z.',
      field: '/expiresAt',
    });
  }
  if (expiresAt !== undefined && at <= now) {
    throw new VirgaError('InvalidArgument', {
      detail: `The time ${at.toISOString()} has passed.`,
      action: 'Give one that is to come; to stop or delete the instance now, do just that.',
      field: '/expiresAt',
    });
  }
  const action = expiryAction ?? before.expiry_action ?? 'stop';
  if (expiresAt === undefined) return { expires_at: at, expiry_action: action, expiry_due_at: before.expiry_due_at };
  return { expires_at: at, expiry_action: action, expiry_due_at: new Date(at.getTime() - expiryWarningMs) };
}

/** @throws InvalidArgument a protected instance would delete itself */
export function requireNoProtectedExpiry(isProtected: boolean, action: ExpiryAction | null, field: string): void {
  if (!isProtected || action !== 'delete') return;
  throw new VirgaError('InvalidArgument', {
    detail: 'An instance that is protected from being deleted cannot expire by being deleted.',
    action: 'Let it expire by being stopped, or take the protection or the expiry away.',
    field,
  });
}

/**
 * The tags after those that were asked for are set, and those that are null are taken away.
 * @throws InvalidArgument a key that cannot be, or too many
 */
export function mergeTags(before: Tags, asked: Record<string, string | null>): Tags {
  const tags = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(asked)) {
    if (value === null) tags.delete(key);
    else tags.set(readKey(key), readValue(key, value));
  }
  if (tags.size > maxTags) {
    throw new VirgaError('InvalidArgument', {
      detail: `The instance would have ${tags.size} tags; at most ${maxTags} are possible.`,
      action: 'Take some away.',
      field: '/tags',
    });
  }
  return Object.fromEntries([...tags].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function readKey(key: string): string {
  if (key !== '' && key.length <= maxTagKeyLength && !key.includes('=') && key.isWellFormed()) return key;
  throw new VirgaError('InvalidArgument', {
    detail: `${JSON.stringify(key)} cannot be the key of a tag.`,
    action: `A key has 1 to ${maxTagKeyLength} characters, and no "=".`,
    field: '/tags',
  });
}

function readValue(key: string, value: string): string {
  if (value.isWellFormed()) return value;
  throw new VirgaError('InvalidArgument', {
    detail: `The value of the tag ${key} is not Unicode text.`,
    action: 'Send whole characters.',
    field: '/tags',
  });
}

/** What XML, and so a domain, can hold. @throws InvalidArgument */
export function readDescription(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (text.isWellFormed() && !/[\0-\x08\v\f\x0e-\x1f\ufffe\uffff]/.test(text)) return text;
  throw new VirgaError('InvalidArgument', {
    detail: 'The description has characters that are no text.',
    action: 'Leave control characters out.',
    field: '/description',
  });
}
