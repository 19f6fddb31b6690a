// The host's own files but for some places, which lie in a folder: what a test changes there changes nothing of the host.
import { type HostSystem, hostSystemAt } from '../host-system.ts';

/** @param places absolute paths; what lies below one is redirected too */
export function redirectedSystem(host: HostSystem, folder: string, places: readonly string[]): HostSystem {
  const inFolder = hostSystemAt(folder, host.run);
  const of = (path: string): HostSystem =>
    places.some((place) => path === place || path.startsWith(`${place}/`)) ? inFolder : host;
  return {
    read: (path) => of(path).read(path),
    list: (path) => of(path).list(path),
    exists: (path) => of(path).exists(path),
    link: (path) => of(path).link(path),
    access: (path) => of(path).access(path),
    writeValue: (path, value) => of(path).writeValue(path, value),
    replaceFile: (path, content) => of(path).replaceFile(path, content),
    setAccess: (path, access) => of(path).setAccess(path, access),
    run: host.run,
  };
}
