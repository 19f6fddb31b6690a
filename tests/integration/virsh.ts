// What libvirt says, by its own program.
import { output } from './run-program.ts';

/** Runs virsh on the system's libvirt. Answers what it prints, without white space around it. */
export const virsh = async (...words: string[]): Promise<string> =>
  (await output('virsh', '-c', 'qemu:///system', ...words)).trim();
