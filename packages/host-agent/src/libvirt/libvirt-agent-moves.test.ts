// The libvirt agent against the contract of host agents: volumes that are moved between pools.
import { hostAgentContract } from '../contract-suite/host-agent-contract.ts';
import { openLibvirtHarness } from './testing/libvirt-harness.ts';

hostAgentContract('libvirt', openLibvirtHarness(97), ['moves']);
