// What Virga changes on a host itself: settings of the kernel, configuration files, permissions. Each is written down with
// what was there before it is made, so that it can be undone exactly.
import { type Static, Type } from 'typebox';

const Path = Type.String({ pattern: '^/', description: 'absolute' });

/**
 * One thing of a host as it should be. `value`: a file of the kernel's sysfs or procfs; of a list with a chosen one, such as
 * `none [mq-deadline]`, that one. `file`: a configuration file; null content: there is none. `access`: who may use a path.
 */
export const HostSetting = Type.Union([
  Type.Object({ kind: Type.Literal('value'), path: Path, value: Type.String() }),
  Type.Object({ kind: Type.Literal('file'), path: Path, content: Type.Union([Type.String(), Type.Null()]) }),
  Type.Object({
    kind: Type.Literal('access'),
    path: Path,
    access: Type.Object({ uid: Type.Integer(), gid: Type.Integer(), mode: Type.Integer() }),
  }),
]);
export type HostSetting = Static<typeof HostSetting>;

/** A setting somebody asks for, and why. */
export const WantedSetting = Type.Object({
  setting: HostSetting,
  why: Type.String({ description: 'one sentence for the administrator' }),
});
export type WantedSetting = Static<typeof WantedSetting>;

/** What becomes of one place of the host. `now` and `after` are texts to show: null is that nothing is there. */
export const HostChange = Type.Object({
  kind: Type.Union([Type.Literal('value'), Type.Literal('file'), Type.Literal('access')]),
  path: Path,
  now: Type.Union([Type.String(), Type.Null()]),
  after: Type.Union([Type.String(), Type.Null()]),
  why: Type.String(),
});
export type HostChange = Static<typeof HostChange>;

/**
 * What an agent keeps of the places that it has changed, by kind and path: what was there before, and the settings of each
 * owner in the order in which they came.
 */
export const ChangedPlaces = Type.Record(
  Type.String(),
  Type.Object({
    before: HostSetting,
    layers: Type.Array(Type.Object({ owner: Type.String(), wanted: WantedSetting })),
  }),
);
export type ChangedPlaces = Static<typeof ChangedPlaces>;
