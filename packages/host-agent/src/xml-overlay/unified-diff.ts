// The difference of two texts as people read it: unified, with three lines around each change. Pure; by the longest common
// subsequence of lines, which is fast enough for definitions of domains.

const contextLines = 3;

/** Empty when both are the same. */
export function unifiedDiff(before: string, after: string, names: { before: string; after: string }): string {
  const old = before.trimEnd().split('\n');
  const now = after.trimEnd().split('\n');
  const edits = editScript(old, now);
  if (edits.every(({ kind }) => kind === ' ')) return '';
  const lines = [`--- ${names.before}`, `+++ ${names.after}`];
  for (const [from, to] of hunks(edits)) {
    const part = edits.slice(from, to);
    const [first] = part;
    const count = (kinds: string) => part.filter(({ kind }) => kinds.includes(kind)).length;
    lines.push(`@@ -${first!.old + 1},${count(' -')} +${first!.now + 1},${count(' +')} @@`);
    lines.push(...part.map(({ kind, text }) => `${kind}${text}`));
  }
  return `${lines.join('\n')}\n`;
}

type Edit = { kind: ' ' | '-' | '+'; text: string; old: number; now: number };

function editScript(old: string[], now: string[]): Edit[] {
  const width = now.length + 1;
  const common = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i * width + j] =
        old[i] === now[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const edits: Edit[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    const at = { old: i, now: j };
    if (i < old.length && j < now.length && old[i] === now[j]) {
      edits.push({ kind: ' ', text: old[i]!, ...at });
      i++;
      j++;
    } else if (i < old.length && (j === now.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) {
      edits.push({ kind: '-', text: old[i++]!, ...at });
    } else edits.push({ kind: '+', text: now[j++]!, ...at });
  }
  return edits;
}

/** Ranges of edits that belong together: those whose surroundings touch. */
function hunks(edits: readonly Edit[]): [from: number, to: number][] {
  const found: [number, number][] = [];
  for (const [index, { kind }] of edits.entries()) {
    if (kind === ' ') continue;
    const from = Math.max(0, index - contextLines);
    const to = Math.min(edits.length, index + contextLines + 1);
    const last = found.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = to;
    else found.push([from, to]);
  }
  return found;
}
