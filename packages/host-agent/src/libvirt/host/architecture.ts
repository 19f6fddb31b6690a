// The processor architecture of the host, as libvirt names it.
import { arch } from 'node:os';
import type { Architecture } from '../instances/domain-host.ts';

export const hostArchitecture = (): Architecture => (arch() === 'arm64' ? 'aarch64' : 'x86_64');
