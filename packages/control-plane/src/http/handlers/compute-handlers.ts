// Hosts, instance types, key pairs, images, networks and instances.
import type { hostRoutes } from '@virga/contract/rest/hosts';
import type { imageRoutes } from '@virga/contract/rest/images';
import type { instanceResizeRoutes } from '@virga/contract/rest/instance-resize';
import type { instanceRoutes } from '@virga/contract/rest/instances';
import type { keyPairRoutes } from '@virga/contract/rest/key-pairs';
import type { networkRoutes } from '@virga/contract/rest/networks';
import { getHost, listHosts } from '../../modules/hosts/host-operations.ts';
import {
  createInstanceType,
  deleteInstanceType,
  listInstanceTypes,
} from '../../modules/hosts/instance-type-operations.ts';
import { deleteImage, getImage, listImages, registerImage } from '../../modules/images/image-operations.ts';
import { consoleLog, instanceXml } from '../../modules/instances/instance-console.ts';
import {
  deleteInstance,
  destroyInstance,
  getInstance,
  launchInstance,
  listInstances,
  rebootInstance,
  startInstance,
  stopInstance,
} from '../../modules/instances/instance-operations.ts';
import { resizeInstance } from '../../modules/instances/resize-instance.ts';
import { deleteKeyPair, getKeyPair, importKeyPair, listKeyPairs } from '../../modules/key-pairs/key-pair-operations.ts';
import { createNetwork, deleteNetwork, getNetwork, listNetworks } from '../../modules/networks/network-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

const defaultTailBytes = 65_536;

export function hostHandlers({ db }: FrontDeps): Pick<Handlers, keyof typeof hostRoutes> {
  return {
    listHosts: ({ access, query }) => listHosts(db, access, query),
    getHost: ({ access, params }) => getHost(db, access, params.id),
    listInstanceTypes: () => listInstanceTypes(db),
    createInstanceType: ({ access, body, idempotency }) => createInstanceType(db, access, body, idempotency),
    async deleteInstanceType({ access, params }) {
      await deleteInstanceType(db, access, params.name);
      return {};
    },
  };
}

export function keyPairHandlers({ db }: FrontDeps): Pick<Handlers, keyof typeof keyPairRoutes> {
  return {
    listKeyPairs: ({ access, query }) => listKeyPairs(db, access, query),
    getKeyPair: ({ access, params }) => getKeyPair(db, access, params.id),
    importKeyPair: ({ access, body, idempotency }) => importKeyPair(db, access, body, idempotency),
    async deleteKeyPair({ access, params }) {
      await deleteKeyPair(db, access, params.id);
      return {};
    },
  };
}

export function imageHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof imageRoutes> {
  return {
    listImages: ({ access, query }) => listImages(deps.db, access, query),
    getImage: ({ access, params }) => getImage(deps.db, access, params.id),
    registerImage: ({ access, body, idempotency }) => registerImage(deps, access, body, idempotency),
    deleteImage: ({ access, params }) => deleteImage(deps, access, params.id),
  };
}

export function networkHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof networkRoutes> {
  return {
    listNetworks: ({ access, query }) => listNetworks(deps.db, access, query),
    getNetwork: ({ access, params }) => getNetwork(deps.db, access, params.id),
    createNetwork: ({ access, body, idempotency }) => createNetwork(deps, access, body, idempotency),
    deleteNetwork: ({ access, params }) => deleteNetwork(deps, access, params.id),
  };
}

export function resizeHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof instanceResizeRoutes> {
  return {
    resizeInstance: ({ access, params, body, ifMatch }) => resizeInstance(deps, access, params.id, body, ifMatch),
  };
}

export function instanceHandlers(deps: FrontDeps): Pick<Handlers, Exclude<keyof typeof instanceRoutes, 'openConsole'>> {
  return {
    listInstances: ({ access, query }) => listInstances(deps.db, access, query),
    getInstance: ({ access, params }) => getInstance(deps.db, access, params.id),
    launchInstance: ({ access, body, idempotency }) => launchInstance(deps, access, body, idempotency),
    startInstance: ({ access, params, body, ifMatch }) => startInstance(deps, access, params.id, ifMatch, body),
    stopInstance: ({ access, params, body, ifMatch }) => stopInstance(deps, access, params.id, body, ifMatch),
    rebootInstance: ({ access, params, body, ifMatch }) => rebootInstance(deps, access, params.id, body, ifMatch),
    destroyInstance: ({ access, params, ifMatch }) => destroyInstance(deps, access, params.id, ifMatch),
    deleteInstance: ({ access, params, query, ifMatch }) => deleteInstance(deps, access, params.id, ifMatch, query),
    getInstanceXml: ({ access, params }) => instanceXml(deps, access, params.id),
    getConsoleLog: ({ access, params, query }) =>
      consoleLog(deps, access, params.id, query.tailBytes ?? defaultTailBytes),
  };
}
