// A profile of the command line for whoever runs `up`, signed in as the first administrator.
import { basename } from 'node:path';
import { changeConfig, configPath, type Profile, readConfig } from '@virga/cli/config/config-file';
import { defaultStateFolder, type Folders } from '../server/folders.ts';
import type { Cloud, Login } from './cloud.ts';
import type { Phase } from './phase.ts';

/** `local`, or `local-NAME` for a cloud in another state folder named so. */
export function profileNameOf(folders: Folders): string {
  return folders.state === defaultStateFolder ? 'local' : `local-${basename(folders.state)}`;
}

export function loginPhase(cloud: Cloud, env: NodeJS.ProcessEnv, profileName: string): Phase {
  return {
    title: 'command line',
    check: async () => {
      const login = cloud.login();
      const { profiles } = await readConfig(env);
      return login && isSame(profiles[profileName], login)
        ? []
        : [`write the login ${profileName} into ${configPath(env)}`];
    },
    change: async () => {
      const login = cloud.login();
      if (!login) throw new Error('the server has stopped since it was started');
      await changeConfig(env, (config) => {
        config.profiles[profileName] = profileOf(login);
        // A login for another cloud that somebody uses stays the one that is used.
        if (!config.profiles[config.currentProfile]) config.currentProfile = profileName;
      });
    },
  };
}

const profileOf = ({ server, accessKeyId, secret }: Login): Profile => ({ server, accessKeyId, secret });

function isSame(profile: Profile | undefined, login: Login): boolean {
  const { server, accessKeyId, secret } = profileOf(login);
  return profile?.server === server && profile.accessKeyId === accessKeyId && profile.secret === secret;
}
