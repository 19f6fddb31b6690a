// The libvirt agent against the contract of host agents: snapshots and clones.
import { hostAgentContract } from '../contract-suite/host-agent-contract.ts';
import { openLibvirtHarness } from './testing/libvirt-harness.ts';

hostAgentContract('libvirt', openLibvirtHarness(72), ['snapshots']);
