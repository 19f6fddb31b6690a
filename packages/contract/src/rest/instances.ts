// Instances: virtual machines. What was asked for and what was seen are separate fields.
import { type Static, Type } from 'typebox';
import { HugePageKib } from '../agent/host-memory.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { instanceAttributes, launchAttributes } from './instance-attributes.ts';
import { chosenCpu, cpuFields } from './instance-cpu.ts';
import { deviceFields, launchDevices } from './instance-devices.ts';
import { hardwareFields, launchHardware } from './instance-hardware.ts';
import { idParams, Name, Nullable, Page, pageQuery, Time } from './shared.ts';

/** User data may have this many bytes, as on EC2. */
export const maxUserDataBytes = 16_384;

export const InstanceState = Type.Union([
  Type.Literal('pending', { description: 'asked for, not running yet' }),
  Type.Literal('running'),
  Type.Literal('paused', { description: 'stands still, its memory stays on the host' }),
  Type.Literal('rebooting'),
  Type.Literal('stopping'),
  Type.Literal('stopped'),
  Type.Literal('hibernating'),
  Type.Literal('hibernated', { description: 'off, its memory saved on the disk of the host' }),
  Type.Literal('deleting'),
  Type.Literal('error', { description: 'cannot be brought to what was asked; see stateReason' }),
]);
export type InstanceState = Static<typeof InstanceState>;

export const Instance = Type.Object(
  {
    id: IdSchema('instance'),
    projectId: IdSchema('project'),
    name: Name,
    ...instanceAttributes,
    ...cpuFields,
    state: InstanceState,
    stateReason: Nullable(Type.String()),
    desiredState: Type.Union([
      Type.Literal('running'),
      Type.Literal('paused'),
      Type.Literal('stopped'),
      Type.Literal('hibernated'),
      Type.Literal('deleted'),
    ]),
    observedState: Type.String({ description: 'what the host last reported' }),
    generation: Type.Integer({ description: 'grows with every change that was asked for' }),
    type: Name,
    vcpus: Type.Integer(),
    maxVcpus: Type.Integer({ description: 'up to here vCPUs can be added while it runs' }),
    memoryMib: Type.Integer(),
    maxMemoryMib: Type.Integer({ description: 'up to here memory can be added while it runs' }),
    hugePageKib: Nullable(HugePageKib),
    mergesMemory: Type.Boolean({ description: 'the kernel of its host may merge its memory, as it was started' }),
    observedVcpus: Nullable(Type.Integer({ description: 'what the host shows; null while it is off' })),
    observedMemoryMib: Nullable(
      Type.Integer({ description: 'what the guest has by what the host shows; null while it is off' }),
    ),
    diskBytes: Type.Integer(),
    /** Null: it was launched with an empty disk. */
    imageId: Nullable(IdSchema('image')),
    imageName: Nullable(Name),
    ...hardwareFields,
    loginUser: Nullable(Type.String({ description: 'who to log in as over SSH; null when the image does not say' })),
    keyPairs: Type.Array(Name),
    hostId: IdSchema('host'),
    hostName: Type.String(),
    origin: Type.Union([
      Type.Literal('launched'),
      Type.Literal('adopted', { description: 'somebody else made its domain; definition and disks are as they came' }),
    ]),
    domainName: Type.String({
      description:
        'name of the libvirt domain, as virsh list shows it; after a change of name, once the guest is next off',
    }),
    ...deviceFields,
    launchPath: Type.Union([Type.Literal('cold'), Type.Literal('warm')], {
      description: 'warm: it began as a copy of a guest that was running',
    }),
    createdAt: Time,
    startedAt: Nullable(Time),
  },
  { $id: 'Instance' },
);
export type Instance = Static<typeof Instance>;

/** What every change of an instance answers: it as it is now, and the operation to follow. */
export const InstanceChanged = Type.Object({ instance: Instance, operationId: IdSchema('operation') });

export const LaunchInstance = Type.Object(
  {
    name: Name,
    image: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'image id or name, to clone the disk from' }),
    ),
    type: Name,
    network: Type.Optional(
      Type.String({ maxLength: 64, description: 'network id or name; default the network named default' }),
    ),
    keyPairs: Type.Optional(Type.Array(Name, { maxItems: 16, uniqueItems: true })),
    userData: Type.Optional(Type.String({ description: 'base64; at most 16 KiB when decoded' })),
    diskGib: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
    maxVcpus: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 512,
        description: 'up to here vCPUs can be added while it runs; default as many as it has',
      }),
    ),
    maxMemoryMib: Type.Optional(
      Type.Integer({
        minimum: 64,
        maximum: 16_777_216,
        description: 'up to here memory can be added while it runs; default as much as it has',
      }),
    ),
    warm: Type.Optional(
      Type.Union([Type.Literal('auto'), Type.Literal('never'), Type.Literal('always')], {
        default: 'auto',
        description:
          'auto: as a copy of a running guest where one of the image and type is kept; always: or not at all; never: by booting',
      }),
    ),
    ...chosenCpu,
    ...launchHardware,
    ...launchDevices,
    ...launchAttributes,
  },
  { $id: 'LaunchInstance', additionalProperties: false },
);
export type LaunchInstance = Static<typeof LaunchInstance>;

/** A verb that changes an instance. */
export const act = (verb: string, summary: string, body?: ReturnType<typeof Type.Object>) => ({
  method: 'POST' as const,
  path: `/v1/instances/{id}/${verb}` as const,
  summary,
  access: { scope: 'project', role: 'operator' } as const,
  params: idParams('instance'),
  ...(body ? { body } : {}),
  ok: InstanceChanged,
  status: 202 as const,
  ifMatch: true as const,
});

const DeadlineBody = Type.Object(
  {
    timeoutSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 3600,
        default: 60,
        description: 'how long the guest may take before it is cut off',
      }),
    ),
  },
  { additionalProperties: false },
);

const RebootBody = Type.Object(
  {
    mode: Type.Optional(
      Type.Union([Type.Literal('acpi'), Type.Literal('agent'), Type.Literal('reset'), Type.Literal('cycle')], {
        description:
          'acpi, the default: the guest hears of it as of its power button; agent: its guest agent does it; reset: at once; cycle: a stop and a start, which also brings what a running guest cannot be given',
      }),
    ),
    hard: Type.Optional(Type.Boolean({ description: 'the same as mode reset' })),
    timeoutSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 3600,
        default: 60,
        description: 'of a cycle: how long the guest may take before it is cut off',
      }),
    ),
  },
  { additionalProperties: false },
);

export const instanceRoutes = {
  listInstances: route({
    method: 'GET',
    path: '/v1/instances',
    summary: 'List instances',
    access: { scope: 'project', role: 'viewer' },
    query: Type.Object({
      ...pageQuery,
      name: Type.Optional(Type.String({ maxLength: 63 })),
      state: Type.Optional(InstanceState),
      tag: Type.Optional(
        Type.Array(Type.String({ minLength: 1, maxLength: 400 }), {
          maxItems: 10,
          description: 'KEY or KEY=VALUE; may be repeated, and all must be there',
        }),
      ),
      hostId: Type.Optional(IdSchema('host')),
    }),
    ok: Page(Instance),
  }),
  getInstance: route({
    method: 'GET',
    path: '/v1/instances/{id}',
    summary: 'Show an instance',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    ok: Instance,
  }),
  launchInstance: route({
    method: 'POST',
    path: '/v1/instances',
    summary: 'Launch an instance',
    access: { scope: 'project', role: 'operator' },
    body: LaunchInstance,
    ok: InstanceChanged,
    status: 202,
  }),
  startInstance: route({
    ...act('start', 'Start a stopped instance, or wake a hibernated one'),
    body: Type.Object(
      {
        paused: Type.Optional(Type.Boolean({ description: 'it stands still then, until it is resumed' })),
      },
      { additionalProperties: false },
    ),
  }),
  stopInstance: route({
    ...act('stop', 'Shut the guest down by ACPI, and cut it off when the time is over'),
    body: DeadlineBody,
  }),
  rebootInstance: route({
    ...act('reboot', 'Reboot by ACPI, by the guest agent, by reset, or by a stop and a start'),
    body: RebootBody,
  }),
  destroyInstance: route(act('destroy', 'Cut the power at once, and give saved memory up; the disk stays')),
  deleteInstance: route({
    method: 'DELETE',
    path: '/v1/instances/{id}',
    summary: 'Delete an instance with its disk and address; its volumes stay, unless withVolumes',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    query: Type.Object({ withVolumes: Type.Optional(Type.Boolean()) }),
    ok: InstanceChanged,
    status: 202,
    ifMatch: true,
  }),
  getInstanceXml: route({
    method: 'GET',
    path: '/v1/instances/{id}/xml',
    summary: 'The domain XML as libvirt has it now',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    ok: Type.Object({ xml: Type.String() }),
  }),
  getConsoleLog: route({
    method: 'GET',
    path: '/v1/instances/{id}/console-log',
    summary: 'What the serial console printed, from the end',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    query: Type.Object({ tailBytes: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304, default: 65_536 })) }),
    ok: Type.Object({ text: Type.String(), truncated: Type.Boolean() }),
  }),
  openConsole: route({
    method: 'GET',
    path: '/v1/instances/{id}/console',
    summary: 'The serial console, as binary WebSocket messages both ways',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    ok: Type.Object({}),
    transport: 'websocket',
  }),
};
