// The libvirt agent against the contract of host agents: what a host has, and what others do there.
import { hostAgentContract } from '../contract-suite/host-agent-contract.ts';
import { openLibvirtHarness } from './testing/libvirt-harness.ts';

hostAgentContract('libvirt', openLibvirtHarness(12), ['hosts']);
