// Whether libvirt would take a definition, found out without defining it: by its schema, then by having it translate the
// definition to a command line of QEMU, as it would for a start.
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { LibvirtError } from '@virga/libvirt/errors';
import { writeFileDurably } from '../../durable-file.ts';
import { CommandFailed, runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';

const schema = '/usr/share/libvirt/schemas/domain.rng';
const field = '/xml';
const mode = 0o600;
/** xmllint says one fault in many lines; the first ones name it. */
const fewLines = 3;

/** @throws InvalidArgument libvirt would not take it, and why */
export async function checkDefinition(context: AgentContext, id: string, xml: string): Promise<void> {
  await checkSchema(id, xml);
  try {
    await context.hypervisor.ask('check a definition', ({ domains }) => ask(domains.xmlToNative(xml)));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new VirgaError('InvalidArgument', {
      detail: `libvirt would not take the definition: ${error.message}.`,
      action: 'Change it; nothing was changed on the host.',
      field,
      cause: error,
    });
  }
}

/** An answer of libvirt about the definition, not about the way to it. */
class Refused extends Error {}

async function ask(answer: Promise<string>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof LibvirtError) throw new Refused(error.message.trim().replace(/\.$/, ''), { cause: error });
    throw error;
  }
}

async function checkSchema(id: string, xml: string): Promise<void> {
  const path = join(tmpdir(), `virga-${id}.xml`);
  try {
    await writeFileDurably(path, xml, mode);
    await runCommand('xmllint', ['--nonet', '--noout', '--relaxng', schema, path], { package: 'libxml2-utils' });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const lines = error.stderr.split('\n').filter((line) => line.includes('error'));
    const faults = lines.slice(0, fewLines).map((line) => line.replace(`${path}:`, 'line ').trim());
    throw new VirgaError('InvalidArgument', {
      detail: `The definition does not follow libvirt's schema: ${faults.join('; ')}.`,
      action: 'Change it; nothing was changed on the host. See https://libvirt.org/formatdomain.html',
      field,
      cause: error,
    });
  } finally {
    await rm(path, { force: true });
  }
}
