// Handlers of warm images: nothing but the way from a request to the operations of its module.
import type { warmRoutes } from '@virga/contract/rest/warm-images';
import { coolImage, listWarmImages, warmImage } from '../../modules/templates/template-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function warmHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof warmRoutes> {
  return {
    listWarmImages: ({ access }) => listWarmImages(deps.db, access),
    warmImage: ({ access, params, body }) => warmImage(deps, access, params.id, body),
    coolImage: ({ access, params, body }) => coolImage(deps, access, params.id, body),
  };
}
