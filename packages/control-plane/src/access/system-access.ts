// The proof of what Virga does by itself. Only reconcilers, workflows and the start of the control plane may import this;
// script/lint/arrows.ts sees to it. Whatever acts for a caller takes the caller's proof instead.
import type { SystemAccess } from './authorizer.ts';

/** @param component what acts, for the record: events name it `virga/component` */
export function systemAccess(component: string): SystemAccess {
  return { actor: { userId: null, name: `virga/${component}` }, requestId: null } as SystemAccess;
}
