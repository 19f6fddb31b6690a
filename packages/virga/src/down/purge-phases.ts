// Deletes what a cloud made on this machine, with the server stopped: through the host agent, by the mark that every
// domain and network of the cloud carries, so that it works with a broken database too. Nothing of anybody else is touched.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { changeConfig, configFolder, configPath, readConfig } from '@virga/cli/config/config-file';
import type { HostAgent } from '@virga/contract/agent/agent';
import { restoreTestCloud } from '@virga/contract/agent/backups';
import { type ErrorCode, VirgaError } from '@virga/contract/errors';
import { templateDomain } from '@virga/control-plane/modules/templates/template';
import { uuidOf } from '@virga/control-plane/reconcile/uuid-of';
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import { pino } from 'pino';
import { runCommand } from '../machine/run-command.ts';
import { removeUnit, unitIsInstalled } from '../machine/systemd-unit.ts';
import { isUnit } from '../server/background-server.ts';
import { cloudIdPath } from '../server/cloud-id.ts';
import { databaseUser, databaseUserExists, defaultStateFolder, type Folders } from '../server/folders.ts';
import { readAdministratorCredentials } from '../server/secrets.ts';
import { readServerSettings } from '../server/server-settings.ts';
import { keyName, keyPath } from '../up/key-phase.ts';
import { profileNameOf } from '../up/login-phase.ts';
import type { Phase } from '../up/phase.ts';

export type Inventory = { instances: number; networks: number; images: number };

/** What there is of the cloud on this host; undefined when no server ever served here. @throws HostUnavailable */
export async function takeInventory(folders: Folders): Promise<Inventory | undefined> {
  const cloudId = readCloudId(folders);
  if (cloudId === undefined) return undefined;
  return withAgent(folders, async (agent) => {
    const [instances, networks, images] = await Promise.all([
      agent.listInstances(cloudId),
      agent.listNetworks(cloudId),
      agent.listImages(cloudId),
    ]);
    return { instances: instances.length, networks: networks.length, images: images.length };
  });
}

export function purgeHostPhase(folders: Folders): Phase {
  return {
    title: 'instances',
    check: async () => {
      const found = await takeInventory(folders);
      const parts = Object.entries(found ?? {}).filter(([, count]) => count > 0);
      return parts.length > 0 ? [`delete ${parts.map(([what, count]) => `${count} ${what}`).join(', ')}`] : [];
    },
    change: async (report) => {
      const cloudId = readCloudId(folders);
      if (cloudId === undefined) return;
      await withAgent(folders, async (agent) => {
        // What was just being made of a snapshot keeps it, and its instance.
        for (const { id, generation } of await agent.listVolumes(cloudId)) {
          if (generation === 0) await agent.deleteVolume({ id, cloudId }).catch(leaveUnreachable);
        }
        for (const cloud of [cloudId, restoreTestCloud(cloudId)]) {
          await inTurn(await agent.listInstances(cloud), async ({ id, domainName, adopted }) => {
            report(adopted ? `giving ${domainName} back` : `deleting ${domainName}`);
            if (adopted) await agent.releaseInstance({ id, cloudId: cloud });
            else {
              const identity = { id, cloudId: cloud, uuid: uuidOf(id), domainName, nics: [] };
              await agent.deleteInstance(identity).catch(leaveUnreachable);
            }
          });
        }
        // Disks of copies rest on those of templates, and these on images.
        for (const shell of await agent.listShells(cloudId)) {
          report(`deleting ${shell.domainName}`);
          await agent.deleteShell(shell);
        }
        for (const { id } of await agent.listTemplates(cloudId)) {
          report(`deleting template ${id}`);
          await agent.deleteTemplate({ id, cloudId, uuid: templateDomain(id).uuid });
        }
        // Some rest on images, and some lie in folders that the storage is not above.
        for (const { id, name } of await agent.listVolumes(cloudId)) {
          report(`deleting volume ${name}`);
          await agent.deleteVolume({ id, cloudId }).catch(leaveUnreachable);
        }
        for (const { id } of await agent.listPools(cloudId)) {
          report(`deleting pool ${id}`);
          // What could not be reached of it is still there.
          await agent.deletePool({ id, cloudId }).catch((error) => leaveUnreachable(error, 'InUse'));
        }
        for (const { id } of await agent.listNetworks(cloudId)) {
          report(`deleting network ${id}`);
          await agent.deleteNetwork({ id, cloudId, uuid: uuidOf(id) });
        }
        const whole = (await agent.listImages(cloudId)).map(({ id }) => id);
        for (const id of [...whole, ...(await agent.listUnfinishedImages(cloudId))]) {
          report(`deleting image ${id}`);
          await agent.deleteImage({ id, cloudId });
        }
      });
    },
  };
}

/** What others rest on, such as the disks of clones, goes after those. */
async function inTurn<T>(all: readonly T[], remove: (one: T) => Promise<void>): Promise<void> {
  for (let left = all; left.length > 0; ) {
    const kept: T[] = [];
    let reason: unknown;
    for (const one of left) {
      try {
        await remove(one);
      } catch (error) {
        if (!(error instanceof VirgaError) || error.code !== 'InUse') throw error;
        kept.push(one);
        reason = error;
      }
    }
    if (kept.length === left.length) throw reason;
    left = kept;
  }
}

/** What is not mounted stays as it is. */
function leaveUnreachable(error: unknown, ...others: ErrorCode[]): void {
  const codes: ErrorCode[] = ['PoolUnusable', ...others];
  if (!(error instanceof VirgaError) || !codes.includes(error.code)) throw error;
}

/** The login, and with the last one the key pair that `up` made. What other clouds need stays. */
export function purgeLoginPhase(folders: Folders, env: NodeJS.ProcessEnv): Phase {
  const profileName = profileNameOf(folders);
  const isOurs = async () => {
    const profile = (await readConfig(env)).profiles[profileName];
    if (!profile) return false;
    try {
      return profile.accessKeyId === readAdministratorCredentials(folders).accessKeyId;
    } catch {
      return false;
    }
  };
  return {
    title: 'command line',
    check: async () => ((await isOurs()) ? [`forget the login ${profileName}`] : []),
    change: async () => {
      const path = keyPath(env, keyName);
      await changeConfig(env, (config) => {
        delete config.profiles[profileName];
        const others = Object.keys(config.profiles);
        if (config.currentProfile === profileName) config.currentProfile = others[0] ?? 'default';
        for (const [fingerprint, identity] of Object.entries(config.identities)) {
          if (identity === path && others.length === 0) delete config.identities[fingerprint];
        }
      });
      const { profiles, identities } = await readConfig(env);
      if (Object.keys(profiles).length > 0) return;
      await Promise.all(
        [path, `${path}.pub`, join(configFolder(env), 'known_hosts')].map((file) => rm(file, { force: true })),
      );
      if (Object.keys(identities).length === 0) await rm(configPath(env));
      // Only when nothing of somebody else's is in them.
      for (const folder of [dirname(path), configFolder(env)]) await rmdir(folder).catch(() => {});
    },
  };
}

export function purgeFilesPhase(folders: Folders): Phase {
  const storage = () => readServerSettings(folders).storage;
  const isDefault = folders.state === defaultStateFolder;
  const present = () => [...new Set([storage(), folders.run, folders.state])].filter((path) => existsSync(path));
  return {
    title: 'files',
    check: async () => [
      ...(isUnit(folders) && unitIsInstalled() ? ['remove the unit of systemd'] : []),
      ...present().map((path) => `delete ${path}`),
      ...(isDefault && databaseUserExists() ? [`delete the system user ${databaseUser}`] : []),
    ],
    change: async () => {
      if (isUnit(folders) && unitIsInstalled()) await removeUnit();
      for (const path of present()) rmSync(path, { recursive: true, force: true });
      // It stays while a cloud on other folders runs as it.
      if (isDefault && databaseUserExists()) await runCommand(['userdel', databaseUser]).catch(() => {});
    },
  };
}

function readCloudId(folders: Folders): string | undefined {
  const path = cloudIdPath(folders);
  return existsSync(path) ? readFileSync(path, 'utf8').trim() || undefined : undefined;
}

async function withAgent<T>(folders: Folders, work: (agent: HostAgent) => Promise<T>): Promise<T> {
  const { libvirtSocket, storage, acceleration } = readServerSettings(folders);
  const log = pino({ level: 'silent' });
  const agent = await openLibvirtAgent({ socketPath: libvirtSocket, storagePath: storage, acceleration, log });
  try {
    return await work(agent);
  } finally {
    await agent.close();
  }
}
