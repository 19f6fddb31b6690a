// Answers a shell that asks what could stand next. Says nothing on stderr and is never an error: a server that does not
// answer in time has no names to offer.

import { readConfig } from '../config/config-file.ts';
import { requireCredentials, resolveSettings } from '../config/settings.ts';
import { printable } from '../output/format.ts';
import type { CommandTree } from '../program/command-tree.ts';
import type { TerminalIo } from '../terminal-io.ts';
import { type Candidate, type Completion, complete } from './complete.ts';

/** A person waits for the key to answer. */
const longestMs = 3000;
/** What no shell takes for anything but part of a word; a value with other characters is not offered. */
const harmless = /^[\w@%+=:,./-]+$/;

export async function answerCompletion(tree: CommandTree, words: readonly string[], io: TerminalIo): Promise<number> {
  const completion = complete(tree, words);
  const last = words.at(-1) ?? '';
  const names = (await namesFor(completion, io)).filter(({ value }) => value.startsWith(last));
  for (const { value, description } of [...completion.candidates, ...names]) {
    if (harmless.test(value)) io.stdout.write(`${value}\t${printable(description)}\n`);
  }
  io.stdout.write(completion.files ? ':files\n' : ':\n');
  return 0;
}

async function namesFor({ names, given, taken }: Completion, io: TerminalIo): Promise<Candidate[]> {
  if (!names) return [];
  try {
    const config = await readConfig(io.env);
    const { namesFromServer, profileNames } = await import('./names.ts');
    if (names.kind === 'profile') return profileNames(config);
    const { server, project, profile } = given;
    const { accessKeyId, secret, ...settings } = requireCredentials(
      resolveSettings({ server, project, profile }, io.env, config),
    );
    const { createClient } = await import('@virga/contract/client');
    const client = createClient({ ...settings, accessKeyId, secret, timeoutMs: longestMs });
    const found = await namesFromServer(names.kind, client);
    return found
      .filter(({ value }) => !taken.includes(value))
      .map(({ value, description }) => ({ value: names.joined + value, description }));
  } catch {
    return [];
  }
}
