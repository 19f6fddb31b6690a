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

export async function writeSetting(system: HostSystem, setting: HostSetting): Promise<void> {
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
