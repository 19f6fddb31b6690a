// Instant launches of the libvirt agent, put together from one file a noun.
import type { WarmKeeping } from '@virga/contract/agent/warm';
import type { AgentContext } from '../agent-context.ts';
import { applyShell, deleteShell, listShells } from './shells.ts';
import { applyTemplate, deleteTemplate, listTemplates } from './templates.ts';

export function warmKeeping(context: AgentContext): WarmKeeping {
  return {
    applyTemplate: (desired, call = {}) => applyTemplate(context, desired, call),
    deleteTemplate: (template) => deleteTemplate(context, template),
    listTemplates: (cloudId) => listTemplates(context, cloudId),
    applyShell: (desired, call = {}) => applyShell(context, desired, call),
    deleteShell: (shell) => deleteShell(context, shell),
    listShells: (cloudId) => listShells(context, cloudId),
  };
}
