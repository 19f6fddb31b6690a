// What an instance's domain would be without its overlay: generated, or of an adopted one as it was when it was adopted.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { AgentContext } from '../agent-context.ts';
import { rootBase } from '../disks/root-base.ts';
import { requireStoredImage } from '../images/image-store.ts';
import { generateDefinition } from '../instances/domain-definition.ts';
import { placedRoot } from '../instances/instance-folder.ts';
import { surveyInstance } from '../instances/instance-survey.ts';
import { originalDefinition } from './remembered-definition.ts';

/** @throws NotFound */
export async function generatedDefinition(context: AgentContext, asked: DesiredInstance): Promise<string> {
  if (asked.origin === 'adopted') {
    const original = await originalDefinition(context.storage, asked.id);
    if (original !== undefined) return original;
    throw new VirgaError('NotFound', {
      detail: `How the domain ${asked.domainName} was defined when it was adopted is not known.`,
      action: 'Release the instance, and adopt it again.',
    });
  }
  const { storage } = context;
  const survey = await surveyInstance(context, asked);
  const desired = { ...asked, rootDisk: placedRoot(asked.rootDisk, survey.owner) };
  const image = await rootBase(storage, desired, survey.owner);
  const discId = desired.cdrom?.imageId ?? null;
  const disc = discId === null ? null : await requireStoredImage(storage, desired.cloudId, discId);
  return generateDefinition(context, desired, survey, { image, disc });
}
