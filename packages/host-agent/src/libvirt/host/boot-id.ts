// Which start of the host this is: the kernel makes up another id each time.
import { readFileSync } from 'node:fs';

const path = '/proc/sys/kernel/random/boot_id';

export const hostBootId = (): string => readFileSync(path, 'utf8').trim();
