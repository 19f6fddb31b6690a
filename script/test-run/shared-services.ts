// What tests beside the code may count on: a database server and a libvirtd, both private to the run.
import { startHypervisor } from '@virga/testing/hypervisor';

export type SharedServices = { env: NodeJS.ProcessEnv; close(): Promise<void> };

export async function startSharedServices(): Promise<SharedServices> {
  const hypervisor = await startHypervisor();
  return {
    env: { VIRGA_TEST_LIBVIRT_SOCKET: hypervisor.socketPath },
    close: () => hypervisor.close(),
  };
}
