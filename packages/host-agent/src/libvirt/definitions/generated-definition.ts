// What an instance's domain would be without its overlay: generated, or of an adopted one as it was when it was adopted.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { AgentContext } from '../agent-context.ts';
import { rootBase } from '../disks/root-base.ts';
import { requireStoredImage } from '../images/image-store.ts';
import { generateDefinition } from '../instances/domain-definition.ts';
import { surveyInstance } from '../instances/instance-survey.ts';
import { originalDefinition } from './remembered-definition.ts';

/** @throws NotFound */
export async function generatedDefinition(context: AgentContext, desired: DesiredInstance): Promise<string> {
  if (desired.origin === 'adopted') {
    const original = await originalDefinition(context.storage, desired.id);
    if (original !== undefined) return original;
    throw new VirgaError('NotFound', {
      detail: `How the domain ${desired.domainName} was defined when it was adopted is not known.`,
      action: 'Release the instance, and adopt it again.',
    });
  }
  const { storage } = context;
  const survey = await surveyInstance(context, desired);
  const image = await rootBase(storage, desired, survey.owner);
  const discId = desired.cdrom?.imageId ?? null;
  const disc = discId === null ? null : await requireStoredImage(storage, desired.cloudId, discId);
  return generateDefinition(context, desired, survey, { image, disc });
}
