// Instances that had been given back before the database was lost: an address that a domain of nobody's has on a network of
// the cloud stays reserved.
import type { HostAgent } from '@virga/contract/agent/agent';
import type { Inventory } from '@virga/contract/agent/inventory';
import { type HostId, newId } from '@virga/contract/ids';
import type { WriteAccess } from '../access/authorizer.ts';
import { holdAddress } from '../modules/networks/address-store.ts';
import type { Tx } from '../store/database.ts';

export async function recoverReleased(
  tx: Tx,
  access: WriteAccess,
  cloudId: string,
  { id: hostId, agent, released, networks }: Inventory & { id: HostId; agent: HostAgent },
): Promise<void> {
  for (const { uuid, name } of await agent.listForeignDomains()) {
    const { nics } = await agent.inspectForeignDomain(cloudId, uuid);
    const leased = nics.filter(({ networkId, mac, address }) =>
      networks.some(
        ({ id, leases }) => id === networkId && leases.some((it) => it.mac === mac && it.address === address),
      ),
    );
    const files = released.find((owner) => owner.uuid === uuid);
    if (leased.length === 0 && files === undefined) continue;
    const project = await tx
      .selectFrom('networks')
      .select('project_id')
      .where('id', '=', leased[0]?.networkId ?? ('' as never))
      .executeTakeFirst();
    const anyProject = project ?? (await tx.selectFrom('projects').select('id as project_id').executeTakeFirst());
    if (!anyProject) return;
    const image =
      files?.imageId && (await tx.selectFrom('images').select('id').where('id', '=', files.imageId).executeTakeFirst());
    const id = files?.id ?? newId('instance');
    await tx
      .insertInto('released_instances')
      .values({
        id,
        project_id: anyProject.project_id,
        host_id: hostId,
        image_id: image ? image.id : null,
        uuid,
        domain_name: name,
        released_at: new Date(),
      })
      .execute();
    for (const { networkId, mac, address } of leased) {
      if (address === null) continue;
      await tx.insertInto('foreign_leases').values({ network_id: networkId, address, mac, released_id: id }).execute();
      await holdAddress(tx, access, networkId, address);
    }
  }
}
