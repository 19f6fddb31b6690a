// Lets a person change a text in the editor of their choice, as git and virsh do: VISUAL or EDITOR, else vi. The text lies in
// a file that only they can read, and that goes afterwards.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import type { CommandContext } from './context.ts';
import { canAsk } from './prompts.ts';

/** @throws InvalidArgument there is no terminal and no editor was named, or it failed */
export async function openEditor(context: CommandContext, text: string, fileName: string): Promise<string> {
  const { env } = context.io;
  const named = env.VISUAL || env.EDITOR;
  if (!named && !canAsk(context)) {
    throw new VirgaError('InvalidArgument', {
      detail: 'There is no terminal to edit in.',
      action: 'Give the changed definition with --file.',
    });
  }
  const folder = await mkdtemp(join(tmpdir(), 'virga-edit-'));
  try {
    const path = join(folder, fileName);
    await writeFile(path, text, { mode: 0o600 });
    await run((named || 'vi').split(/\s+/).filter(Boolean), path, env);
    return await readFile(path, 'utf8');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run([program = '', ...args]: string[], path: string, env: NodeJS.ProcessEnv): Promise<void> {
  const editor = spawn(program, [...args, path], { stdio: 'inherit', env });
  const outcome = await new Promise<string | undefined>((resolve) => {
    editor.once('error', (error: NodeJS.ErrnoException) => resolve(`cannot be started (${error.code})`));
    editor.once('exit', (code, signal) => resolve(code === 0 ? undefined : `ended with ${signal ?? code}`));
  });
  if (outcome === undefined) return;
  throw new VirgaError('InvalidArgument', {
    detail: `The editor ${program} ${outcome}; nothing was changed.`,
    action: 'Name one with EDITOR, such as EDITOR=nano.',
  });
}
