// What can be measured of an instance, and what can be done to it from its keyboard.
import { type Static, Type } from 'typebox';
import { route } from '../route.ts';
import { idParams, Nothing, Nullable, Time } from './shared.ts';

const Count = Type.Integer({ minimum: 0 });

export const Statistics = Type.Object(
  {
    at: Time,
    cpuTimeNs: Type.Number({ description: 'of the host, since the instance was started' }),
    vcpus: Count,
    memory: Type.Object({
      currentKib: Count,
      residentKib: Nullable(Count),
      usableKib: Nullable(Count),
    }),
    disks: Type.Array(
      Type.Object({
        target: Type.String(),
        readBytes: Count,
        readRequests: Count,
        writtenBytes: Count,
        writeRequests: Count,
        capacityBytes: Nullable(Count),
        allocatedBytes: Nullable(Count),
      }),
    ),
    networkInterfaces: Type.Array(
      Type.Object({
        device: Type.String({ description: 'of the host, such as vnet3' }),
        receivedBytes: Count,
        receivedPackets: Count,
        receivedDropped: Count,
        sentBytes: Count,
        sentPackets: Count,
        sentDropped: Count,
      }),
    ),
  },
  { $id: 'Statistics' },
);
export type Statistics = Static<typeof Statistics>;

/** As many chords as one request may send. */
export const maxChords = 256;

export const instrumentRoutes = {
  getStatistics: route({
    method: 'GET',
    path: '/v1/instances/{id}/statistics',
    summary: 'What a running instance has used of processor, memory, disks and networks',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    ok: Statistics,
  }),
  sendKeys: route({
    method: 'POST',
    path: '/v1/instances/{id}/keys',
    summary: 'Press keys on the keyboard of an instance',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: Type.Object(
      {
        keys: Type.Array(Type.String({ maxLength: 64, description: 'keys held together, such as ctrl+alt+delete' }), {
          minItems: 1,
          maxItems: maxChords,
        }),
      },
      { additionalProperties: false },
    ),
    ok: Nothing,
  }),
  injectNmi: route({
    method: 'POST',
    path: '/v1/instances/{id}/nmi',
    summary: 'Send a non-maskable interrupt, which makes most guests dump what they were doing',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    ok: Nothing,
  }),
};
