// Handlers of images that hosts make: nothing but the way from a request to the operations of its module.
import type { imageBuildRoutes } from '@virga/contract/rest/image-build';
import { buildImage, getImageBuild, lintImage, sealImage } from '../../modules/images/build/build-operations.ts';
import { createImageOf, lintInstance } from '../../modules/instances/image-of-instance.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function imageBuildHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof imageBuildRoutes> {
  return {
    buildImage: ({ access, body, idempotency }) => buildImage(deps, access, body, idempotency),
    sealImage: ({ access, params, body, idempotency }) => sealImage(deps, access, params.id, body, idempotency),
    createImage: ({ access, params, body, idempotency }) => createImageOf(deps, access, params.id, body, idempotency),
    getImageBuild: ({ access, params }) => getImageBuild(deps.db, access, params.id),
    lintImage: ({ access, params, signal }) => lintImage(deps, access, params.id, signal),
    lintInstance: ({ access, params, signal }) => lintInstance(deps, access, params.id, signal),
  };
}
