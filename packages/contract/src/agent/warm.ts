// What the control plane asks of a host for instant launches. A template is a guest that was booted from an image and
// stopped in its tracks: its memory, its device state and its disk. A shell is a copy of a template that waits, paused and
// without a network card, under the name and id of an instance that does not exist yet; `applyInstance` with `warm` turns it
// into that instance. Both are made only for what the control plane has written down before.
import { type Static, Type } from 'typebox';
import { IdSchema, type TemplateId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

export const DesiredTemplate = Type.Object({
  id: IdSchema('template'),
  cloudId: Type.String(),
  /** Of the domain that is booted once to make it. */
  uuid: Type.String(),
  domainName: Type.String(),
  imageId: IdSchema('image'),
  vcpus: Type.Integer(),
  memoryMib: Type.Integer(),
  diskBytes: Type.Integer(),
});
export type DesiredTemplate = Static<typeof DesiredTemplate>;

export const DesiredShell = Type.Object({
  /** Of the instance that it will be, with UUID and name of its domain. */
  id: IdSchema('instance'),
  cloudId: Type.String(),
  uuid: Type.String(),
  domainName: Type.String(),
  templateId: IdSchema('template'),
});
export type DesiredShell = Static<typeof DesiredShell>;

export type ShellIdentity = Omit<DesiredShell, 'templateId'>;

/** `isReady`: it can be taken. A restart of the host ends what ran. */
export type ObservedShell = ShellIdentity & { templateId: TemplateId; isReady: boolean };

/**
 * `ready`: can be copied. `stale`: what it was made with has changed (QEMU, libvirt, the kernel or processor of the host, the
 * way domains are defined), so it is of no use but for the disks that rest on its own. `unfinished`: it is being made or
 * removed, or a crash left it so; the next call for it goes on with that.
 */
export type ObservedTemplate = {
  id: TemplateId;
  cloudId: string;
  state: 'ready' | 'stale' | 'unfinished';
  /** Instances and shells whose disks rest on it. */
  clones: number;
};

/** Instant launches on a host. */
export interface WarmKeeping {
  /**
   * Boots a guest of the image without a network card, has it get ready to be copied, and keeps it. Takes as long as a boot.
   * Idempotent: one that is there is looked at, and `stale` is the answer when it is of no use any more.
   * @throws NotFound the image is not on the host | StorageFull | HypervisorRefused the guest does not know how to be copied
   */
  applyTemplate(desired: DesiredTemplate, context?: CallContext): Promise<ObservedTemplate>;
  /**
   * Removes a template. Its memory goes at once, its disk when nothing rests on it any more.
   * @throws InUse disks rest on its disk; it can be copied no more
   */
  deleteTemplate(template: { id: TemplateId; cloudId: string; uuid: string }, context?: CallContext): Promise<void>;
  listTemplates(cloudId: string, context?: CallContext): Promise<ObservedTemplate[]>;
  /** Prepares a copy. Idempotent. @throws NotFound there is no template that can be copied | StorageFull | Conflict */
  applyShell(desired: DesiredShell, context?: CallContext): Promise<ObservedShell>;
  /** Removes a copy that nobody has taken; one that has become an instance is left alone. */
  deleteShell(shell: ShellIdentity, context?: CallContext): Promise<void>;
  listShells(cloudId: string, context?: CallContext): Promise<ObservedShell[]>;
}
