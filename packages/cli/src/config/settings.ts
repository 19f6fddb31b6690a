// Which server to talk to, as whom, in which project: options before environment before profile. A profile's secret is
// only ever sent to the server of that profile.
import { VirgaError } from '@virga/contract/errors';
import { closest } from '../closest.ts';
import { type Config, readConfig } from './config-file.ts';

export const defaultServer = 'http://127.0.0.1:8470';

export type ConnectionOptions = {
  server?: string | undefined;
  project?: string | undefined;
  profile?: string | undefined;
};

export type Settings = {
  profileName: string;
  server: string;
  project: string | undefined;
  accessKeyId: string | undefined;
  secret: string | undefined;
};

/** Reads what applies now. @throws InvalidArgument a profile was named that does not exist, or the address is none */
export async function readSettings(options: ConnectionOptions, env: NodeJS.ProcessEnv): Promise<Settings> {
  return resolveSettings(options, env, await readConfig(env));
}

export function resolveSettings(options: ConnectionOptions, env: NodeJS.ProcessEnv, config: Config): Settings {
  const named = options.profile ?? (env.VIRGA_PROFILE || undefined);
  const profileName = named ?? config.currentProfile;
  const profile = Object.hasOwn(config.profiles, profileName) ? config.profiles[profileName] : undefined;
  if (named !== undefined && !profile) throw unknownProfile(named, Object.keys(config.profiles));
  const server = serverUrl(options.server ?? (env.VIRGA_SERVER || profile?.server || defaultServer));
  const fromEnvironment = env.VIRGA_ACCESS_KEY_ID || undefined;
  const ownServer = profile !== undefined && serverUrl(profile.server) === server;
  return {
    profileName,
    server,
    project: options.project ?? (env.VIRGA_PROJECT || (ownServer ? profile.project : undefined)),
    accessKeyId: fromEnvironment ?? (ownServer ? profile.accessKeyId : undefined),
    secret: fromEnvironment ? env.VIRGA_SECRET_ACCESS_KEY || undefined : ownServer ? profile.secret : undefined,
  };
}

/** The same settings, or a refusal that says how to sign in. @throws Unauthenticated */
export function requireCredentials(settings: Settings): Settings & { accessKeyId: string; secret: string } {
  const { accessKeyId, secret } = settings;
  if (accessKeyId && secret) return { ...settings, accessKeyId, secret };
  if (accessKeyId) {
    throw new VirgaError('Unauthenticated', {
      detail: 'VIRGA_ACCESS_KEY_ID is set, but VIRGA_SECRET_ACCESS_KEY is not.',
      action: 'Set both, or neither to use the profile.',
    });
  }
  throw new VirgaError('Unauthenticated', {
    detail: `You are not signed in at ${settings.server}.`,
    action: `Run virga login --server ${settings.server}, or set VIRGA_ACCESS_KEY_ID and VIRGA_SECRET_ACCESS_KEY.`,
  });
}

export function unknownProfile(name: string, known: readonly string[]): VirgaError {
  const near = closest(name, known);
  return new VirgaError('NotFound', {
    detail: `There is no profile named ${name}.`,
    action: `${near === undefined ? '' : `Did you mean ${near}? `}Run virga profiles list to see them, or virga login --profile ${name} to make it.`,
  });
}

/** The address in its normal form, without a path. @throws InvalidArgument it is no http or https address */
export function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new VirgaError('InvalidArgument', {
      detail: `${text} is not the address of a server.`,
      action: `Give one like ${defaultServer}.`,
    });
  }
  return url.origin;
}
