// Volumes, and the devices of instances.
import type { instanceDeviceRoutes } from '@virga/contract/rest/instance-device-changes';
import type { volumeRoutes } from '@virga/contract/rest/volumes';
import { attachVolume, detachVolume } from '../../modules/instances/attach-volume.ts';
import { changeDiskDriver } from '../../modules/instances/change-disk-driver.ts';
import { limitDisk, limitNetworkInterface } from '../../modules/instances/limit-operations.ts';
import { addNetworkInterface, removeNetworkInterface } from '../../modules/instances/network-interface-operations.ts';
import { createVolume } from '../../modules/volumes/create-volume.ts';
import { updateVolume } from '../../modules/volumes/update-volume.ts';
import { deleteVolume, getVolume, listVolumes, resizeVolume } from '../../modules/volumes/volume-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function volumeHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof volumeRoutes> {
  const { db } = deps;
  return {
    listVolumes: ({ access, query }) => listVolumes(db, access, query),
    getVolume: ({ access, params }) => getVolume(db, access, params.id),
    updateVolume: ({ access, params, body, ifMatch }) => updateVolume(deps, access, params.id, body, ifMatch),
    createVolume: ({ access, body, idempotency }) => createVolume(deps, access, body, idempotency),
    resizeVolume: ({ access, params, body, ifMatch }) => resizeVolume(deps, access, params.id, body, ifMatch),
    deleteVolume: ({ access, params, query, ifMatch }) => deleteVolume(deps, access, params.id, ifMatch, query),
  };
}

export function instanceDeviceHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof instanceDeviceRoutes> {
  return {
    attachVolume: ({ access, params, body, ifMatch }) => attachVolume(deps, access, params.id, body, ifMatch),
    detachVolume: ({ access, params, ifMatch }) => detachVolume(deps, access, params.id, params.volumeId, ifMatch),
    addNetworkInterface: ({ access, params, body, ifMatch }) =>
      addNetworkInterface(deps, access, params.id, body, ifMatch),
    removeNetworkInterface: ({ access, params, ifMatch }) =>
      removeNetworkInterface(deps, access, params.id, params.nicId, ifMatch),
    limitDisk: ({ access, params, body, ifMatch }) =>
      limitDisk(deps, access, params.id, params.volumeId, body, ifMatch),
    setDiskDriver: ({ access, params, body, ifMatch }) =>
      changeDiskDriver(deps, access, params.id, params.volumeId, body, ifMatch),
    limitNetworkInterface: ({ access, params, body, ifMatch }) =>
      limitNetworkInterface(deps, access, params.id, params.nicId, body, ifMatch),
  };
}
