// Volumes of a lost database.
import type { Tx } from '../store/database.ts';
import type { CloudPart } from './choose-cloud.ts';

export async function recoverVolumes(_tx: Tx, hosts: readonly CloudPart[], leftAlone: string[]): Promise<number> {
  for (const { volumes } of hosts) for (const { name } of volumes) leftAlone.push(`Volume ${name} was not taken.`);
  return 0;
}
