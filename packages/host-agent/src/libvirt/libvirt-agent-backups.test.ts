// The libvirt agent against the contract of host agents: how disks of guests are kept elsewhere, and brought back.
import { hostAgentContract } from '../contract-suite/host-agent-contract.ts';
import { openLibvirtHarness } from './testing/libvirt-harness.ts';

hostAgentContract('libvirt', openLibvirtHarness(212), ['backups']);
