// Writes an adoption down: the row of an instance for a domain that somebody else made, with room on its host and the
// addresses that its cards have. The host is only asked what the domain is; the reconciler takes it over. Until then, and
// when that fails, the domain is as it was.
import type { ForeignDomainDetails } from '@virga/contract/agent/foreign';
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, type NetworkInterfaceId, newId, type OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import type { Insertable } from 'kysely';
import { type CloudAccess, projectOf } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import type { Database } from '../../store/schema.ts';
import { resolveHost } from '../hosts/resolve-host.ts';
import { createOperation } from '../operations/operation-store.ts';
import { placeOn } from '../placement/placement.ts';
import { findInstance, insertInstance, toInstance } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';
import { forgetReleased, takeForeignLease } from './released-instances.ts';

type Adoption = { domain: string; host?: string | undefined; name?: string | undefined };

/** What an adopted instance has in place of an instance type. */
export const adoptedType = 'adopted';
const nameForm = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Adopts a domain: it is an instance when the operation has succeeded, and its guest does not notice.
 * @throws NotFound | Conflict there is no such domain, it is transient, or it is an instance already
 * @throws InvalidArgument its name is no name for an instance, and none was given
 * @throws NoCapacity | HostUnavailable it runs, and its host has no room to count it
 */
export async function adoptInstance(
  deps: Deps,
  access: CloudAccess<'admin'>,
  body: Adoption,
  idempotency?: Idempotency,
): Promise<{ instance: Instance; operationId: OperationId }> {
  const projectId = projectOf(access);
  try {
    return await onceOnly(deps.db, idempotency, async (tx) => {
      const host = await resolveHost(tx, body.host);
      const domain = await deps.agents.agentOf(host.id).inspectForeignDomain(deps.cloudId, body.domain);
      if (!domain.persistent) throw transient(domain);
      const name = nameFor(domain, body.name);
      const id = newId('instance');
      const resource = { projectId, resourceId: id, resourceName: name };
      const operationId = await createOperation(tx, access, { kind: 'instance.adopt', ...resource, generation: 1 });
      await appendEvent(tx, access, {
        type: 'instance.adopt-requested',
        ...resource,
        message: `Adoption of the domain ${domain.name} on host ${host.name} was asked for.`,
        data: { domain: domain.name, uuid: domain.uuid, host: host.id },
      });
      await insertInstance(
        tx,
        rowOf(domain, { id, name, projectId, hostId: host.id, operationId, now: deps.clock.now() }),
      );
      await adoptCards(tx, access, id, domain);
      await forgetReleased(tx, access, host.id, domain.uuid);
      const { vcpus, memoryMib } = domain;
      if (isOn(domain)) await placeOn(tx, access, host.id, { vcpus, memoryMib });
      await wakeInstance(tx, host.id, id);
      return { instance: toInstance((await findInstance(tx, id))!), operationId };
    });
  } catch (error) {
    throw refusalOf(error, body);
  }
}

function rowOf(
  domain: ForeignDomainDetails,
  {
    id,
    name,
    projectId,
    hostId,
    operationId,
    now,
  }: {
    id: InstanceId;
    name: string;
    projectId: ReturnType<typeof projectOf>;
    hostId: Awaited<ReturnType<typeof resolveHost>>['id'];
    operationId: OperationId;
    now: Date;
  },
): Insertable<Database['instances']> {
  return {
    id,
    project_id: projectId,
    name,
    domain_name: domain.name,
    guest_host_name: name,
    uuid: domain.uuid,
    host_id: hostId,
    image_id: null,
    type: adoptedType,
    vcpus: domain.vcpus,
    memory_mib: domain.memoryMib,
    disk_bytes: domain.diskBytes,
    root_disk_id: newId('volume'),
    firmware: domain.firmware,
    watchdog: null,
    cdrom_image_id: null,
    key_pairs: '[]',
    user_data: null,
    desired: domain.state,
    force_at: domain.state === 'stopped' ? now : null,
    reboot: null,
    allocated: isOn(domain),
    // As its own definition says, which by default is yes.
    merges: isOn(domain),
    origin: 'adopted',
    drift: null,
    failure: null,
    retry_at: null,
    operation_id: operationId,
    started_at: isOn(domain) ? now : null,
    expires_at: null,
    expiry_action: null,
    expiry_due_at: null,
  };
}

const isOn = ({ state }: ForeignDomainDetails): boolean => state === 'running' || state === 'paused';

/** A card becomes one of the instance when its address is known and nobody else's. The others are left alone. */
async function adoptCards(
  tx: Tx,
  access: CloudAccess<'admin'>,
  id: InstanceId,
  { nics }: ForeignDomainDetails,
): Promise<void> {
  for (const { mac, networkId, address } of nics) {
    const nicId: NetworkInterfaceId = newId('networkInterface');
    const leased = await takeForeignLease(tx, access, { networkId, mac, address, nicId });
    if (leased === undefined) continue;
    await tx
      .insertInto('nics')
      .values({ id: nicId, instance_id: id, network_id: networkId, mac, address: leased })
      .execute();
  }
}

function nameFor({ name }: ForeignDomainDetails, asked: string | undefined): string {
  if (asked !== undefined) return asked;
  if (nameForm.test(name)) return name;
  throw new VirgaError('InvalidArgument', {
    detail: `The domain is called ${name}, which is no name for an instance.`,
    action: 'Give one of lower-case letters, digits and hyphens: virga adopt DOMAIN --name NAME.',
    field: '/name',
  });
}

function refusalOf(error: unknown, { domain, name = domain }: Adoption): unknown {
  switch (brokenConstraint(error)) {
    case 'instances_name_taken':
      return new VirgaError('NameTaken', {
        detail: `An instance named ${name} exists.`,
        action: 'Choose another name: virga adopt DOMAIN --name NAME.',
        field: '/name',
      });
    case 'instances_domain':
      return new VirgaError('Conflict', {
        detail: `The domain ${domain} is being adopted already.`,
        action: 'Look at it: virga list.',
        field: '/domain',
      });
    case 'nics_mac':
      return new VirgaError('Conflict', {
        detail: `A card of the domain ${domain} has the MAC address of an instance.`,
        action: 'Give one of them another: virsh edit.',
        field: '/domain',
      });
    default:
      return error;
  }
}

const transient = ({ name }: ForeignDomainDetails) =>
  new VirgaError('Conflict', {
    detail: `The domain ${name} is transient: it runs, but is not defined, and is gone once it stops.`,
    action: `Define it first: virsh dumpxml ${name} > ${name}.xml && virsh define ${name}.xml`,
    field: '/domain',
  });
