// Handlers of images that come from elsewhere: nothing but the way from a request to the operations of their module.
import type { imageImportRoutes } from '@virga/contract/rest/image-import';
import { importImage, listCatalog, updateImage } from '../../modules/images/import-operations.ts';
import { cancelImageImport, getImageUpload, sendImage, uploadImage } from '../../modules/images/upload-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function imageImportHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof imageImportRoutes> {
  return {
    listCatalog: ({ access }) => listCatalog(deps, access),
    importImage: ({ access, body, idempotency }) => importImage(deps, access, body, idempotency),
    uploadImage: ({ access, body, idempotency }) => uploadImage(deps, access, body, idempotency),
    getImageUpload: ({ access, params }) => getImageUpload(deps, access, params.id),
    sendImage: ({ access, params, query, content, signal }) =>
      sendImage(deps, access, params.id, { ...query, content, signal }),
    cancelImageImport: ({ access, params }) => cancelImageImport(deps, access, params.id),
    updateImage: ({ access, params, body }) => updateImage(deps, access, params.id, body),
  };
}
