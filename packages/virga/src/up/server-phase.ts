// The server, in the background: of this build, with these settings.
import { VirgaError } from '@virga/contract/errors';
import { buildId } from '../build-info.ts';
import { isUnit, startInBackground, stopServer, unitIsStale } from '../server/background-server.ts';
import type { Folders } from '../server/folders.ts';
import { assertCanListen } from '../server/port.ts';
import { readServerRecord } from '../server/server-record.ts';
import {
  parseListen,
  readServerSettings,
  type ServerSettings,
  writeServerSettings,
} from '../server/server-settings.ts';
import { lockHolder } from '../server/state-lock.ts';
import type { Phase } from './phase.ts';

/** @param given what the command line says; the rest stays as it was set up */
export function serverPhase(folders: Folders, given: Partial<ServerSettings>): Phase {
  const wanted = () => readServerSettings(folders, given);
  const settingsChange = () => JSON.stringify(wanted()) !== JSON.stringify(readServerSettings(folders));
  const how = isUnit(folders) ? ' as a unit of systemd, now and at boot' : '';
  return {
    title: 'server',
    check: async () => {
      const record = readServerRecord(folders);
      const { listen } = wanted();
      if (!record) return [`start the server on ${listen}${how}, with a PostgreSQL cluster of its own`];
      if (settingsChange()) return [`restart the server with other settings, on ${listen}`];
      if (record.build !== buildId) return ['restart the server, which is of another build; guests go on'];
      return unitIsStale(folders) ? ['write the unit of systemd anew, and restart the server'] : [];
    },
    change: async (report) => {
      const settings = wanted();
      if (lockHolder(folders.state) !== undefined) {
        report('stopping the server');
        await stopServer(folders);
      }
      await assertCanListen(parseListen(settings.listen));
      await writeServerSettings(folders, settings);
      report('starting the server');
      const { url } = await startInBackground(folders);
      report(`serving at ${url}`);
    },
  };
}

/** What settings the options of `up` make. @throws InvalidArgument the port is none */
export function settingsFromPort(folders: Folders, port: number | undefined): Partial<ServerSettings> {
  if (port === undefined) return {};
  const { host } = parseListen(readServerSettings(folders).listen);
  if (port === 0) {
    throw new VirgaError('InvalidArgument', {
      detail: 'Port 0 would be another one at every start.',
      action: 'Name a port from 1 to 65535.',
    });
  }
  return { listen: `${host.includes(':') ? `[${host}]` : host}:${port}` };
}
