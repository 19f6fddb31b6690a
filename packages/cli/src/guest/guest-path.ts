// `web:/etc/hosts` is a file of a guest, everything else is one of this machine.
export type CopyEnd =
  | { kind: 'guest'; instance: string; path: string }
  | { kind: 'local'; path: string }
  | { kind: 'stream' };

export function readCopyEnd(text: string): CopyEnd {
  if (text === '-') return { kind: 'stream' };
  const [, instance, path] = /^([a-z0-9][a-z0-9-]*):(.*)$/s.exec(text) ?? [];
  if (instance === undefined || path === undefined) return { kind: 'local', path: text };
  return { kind: 'guest', instance, path };
}
