// The question before the machine is changed. Where nobody can answer, it is a refusal that says which option answers it.
import { createInterface } from 'node:readline/promises';
import type { CliIo } from '@virga/cli/cli-io';
import { Interrupted } from '@virga/cli/interrupt';
import { VirgaError } from '@virga/contract/errors';

/**
 * Goes on only when the person agrees.
 * @param question such as `Make these changes?`
 * @throws InvalidArgument nobody can be asked
 * @throws Interrupted the answer was no; nothing has changed
 */
export async function agree(io: CliIo, question: string): Promise<void> {
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true) {
    throw new VirgaError('InvalidArgument', {
      detail: 'This changes the machine, and there is no terminal to ask at.',
      action: 'Add --yes to agree, or --plan to see what would be done.',
    });
  }
  const lines = createInterface({ input: io.stdin, output: io.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Interrupted('Nothing was changed.');
  } finally {
    lines.close();
  }
}
