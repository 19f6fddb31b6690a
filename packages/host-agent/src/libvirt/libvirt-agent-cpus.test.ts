// The libvirt agent against the contract of host agents: where the threads of instances run.
import { hostAgentContract } from '../contract-suite/host-agent-contract.ts';
import { openLibvirtHarness } from './testing/libvirt-harness.ts';

hostAgentContract('libvirt', openLibvirtHarness(47), ['cpus']);
