// One setting of a host: how it is read, compared and made. Keeps nothing. Fails as the kernel does.
import type { HostSetting } from '@virga/contract/agent/host-changes';
import type { HostSystem } from '../host-system/host-system.ts';

/** What is at the place of a setting; undefined: the host has no such place. */
export async function readSetting(system: HostSystem, { kind, path }: HostSetting): Promise<HostSetting | undefined> {
  switch (kind) {
    case 'value': {
      const text = await system.read(path);
      return text === undefined ? undefined : { kind, path, value: chosenOf(text) };
    }
    case 'file': {
      const content = await system.read(path);
      if (content === undefined && (await system.exists(path))) throw new Error(`${path} cannot be read`);
      return { kind, path, content: content ?? null };
    }
    case 'access': {
      const access = await system.access(path);
      return access && { kind, path, access };
    }
  }
}

/** The host did not take a setting, or made something else of it. */
export class SettingNotTaken extends Error {
  override readonly name = 'SettingNotTaken';
  readonly setting: HostSetting;
  /** What is there instead; null: the kernel refused to be asked. */
  readonly instead: string | null;

  constructor(setting: HostSetting, instead: string | null, cause?: unknown) {
    super(`${setting.path} was not set`, { cause });
    this.setting = setting;
    this.instead = instead;
  }
}

/** Makes a setting and reads it back. @throws SettingNotTaken */
export async function makeSetting(system: HostSystem, setting: HostSetting): Promise<void> {
  try {
    await writeSetting(system, setting);
  } catch (cause) {
    throw new SettingNotTaken(setting, null, cause);
  }
  const made = await readSetting(system, setting);
  if (!sameSetting(made, setting)) throw new SettingNotTaken(setting, settingText(made) ?? 'nothing');
}

async function writeSetting(system: HostSystem, setting: HostSetting): Promise<void> {
  switch (setting.kind) {
    case 'value':
      return system.writeValue(setting.path, setting.value);
    case 'file':
      return system.replaceFile(setting.path, setting.content);
    case 'access':
      return system.setAccess(setting.path, setting.access);
  }
}

export const sameSetting = (a: HostSetting | undefined, b: HostSetting | undefined): boolean =>
  settingText(a) === settingText(b);

/** For people, and to compare. */
export function settingText(setting: HostSetting | undefined): string | null {
  if (setting === undefined) return null;
  switch (setting.kind) {
    case 'value':
      return chosenOf(setting.value);
    case 'file':
      return setting.content?.replace(/\n$/, '') ?? null;
    case 'access': {
      const { uid, gid, mode } = setting.access;
      return `${mode.toString(8).padStart(4, '0')} ${uid}:${gid}`;
    }
  }
}

/** Of `a [b] c` b; else the text without spaces around it and with single ones between words. */
function chosenOf(text: string): string {
  return /\[([^\]]+)\]/.exec(text)?.[1] ?? text.trim().replace(/\s+/g, ' ');
}
