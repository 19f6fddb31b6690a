// What a refusal has to be, whatever was wrong: on the command line an exit code, one sentence and what to do; over HTTP a
// problem document; and the cloud has what it had before. Keeps a table of all that were looked at.
import assert from 'node:assert/strict';
import { type ErrorCode, errorRegistry, type Problem } from '@virga/contract/errors';
import { takeInventory } from './inventory.ts';
import type { RunOptions } from './run-program.ts';
import type { Answer, WholeCloud } from './whole-cloud.ts';

export type Refusal = {
  /** What is wrong, for the table. */
  what: string;
  code: ErrorCode;
  /** A part of the sentence. */
  says: RegExp;
  /** JSON pointer of the field at fault; an operation that fails later names none. */
  field?: string;
  cli?: { words: readonly string[] } & RunOptions;
  http?: { method: string; path: string; body?: unknown; headers?: Record<string, string> };
  /** The request itself is accepted, and its operation fails. */
  later?: boolean;
};

/** What went wrong, and what to do. */
type Spoken = Pick<Problem, 'detail' | 'action'>;

const leaks = /node:|at async|\bselect \b|ECONN|Error:|undefined|\[object/;

export class Refusals {
  private readonly cloud: WholeCloud;
  private readonly storage: string | undefined;
  private readonly rows: string[][] = [];

  constructor(cloud: WholeCloud, storage?: string) {
    this.cloud = cloud;
    this.storage = storage;
  }

  /** Tries it in both ways. @throws AssertionError one of them is not refused as it should be, or leaves something */
  async check(refusal: Refusal): Promise<void> {
    const { cli, http, code } = refusal;
    const before = await this.inventory();
    const told = cli && (await this.byCommandLine(refusal, cli));
    const problem = http && (await this.byHttp(refusal, http));
    assert.deepEqual(await this.inventory(), before, 'something was left');
    const { exit, status } = errorRegistry[code];
    this.note(refusal.what, code, (told ?? problem)!, {
      ...(told && { exit }),
      ...(problem && { status: `${status}${refusal.later ? ', later' : ''}` }),
    });
  }

  /** Adds a line for what was looked at elsewhere. */
  note(
    what: string,
    code: ErrorCode,
    { detail, action }: Spoken,
    { exit, status }: { exit?: number; status?: string },
  ): void {
    this.rows.push([what, code, String(exit ?? '-'), status ?? '-', `${detail} ${action}`]);
  }

  table(): string {
    const all = [['case', 'code', 'exit', 'HTTP', 'what it says'], ...this.rows];
    const last = all[0]!.length - 1;
    const widths = all[0]!.map((_, column) =>
      column === last ? 0 : Math.max(...all.map((row) => row[column]!.length)),
    );
    return all
      .map((row) =>
        row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd(),
      )
      .join('\n');
  }

  private async byCommandLine(refusal: Refusal, { words, ...options }: NonNullable<Refusal['cli']>): Promise<Spoken> {
    const { exit, stdout, stderr } = await this.cloud.cli([...words, '--quiet'], options);
    const about = `virga ${words.join(' ')}: ${stderr}`;
    assert.equal(exit, errorRegistry[refusal.code].exit, about);
    assert.equal(stdout, '', about);
    return assertSpoken(stderr, refusal.says);
  }

  private async byHttp(refusal: Refusal, request: NonNullable<Refusal['http']>): Promise<Spoken> {
    const { method, path, body, headers } = request;
    const answer = await this.cloud.http(method, path, body, headers);
    const { status } = errorRegistry[refusal.code];
    if (refusal.later) {
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      const problem = await this.cloud.failureOf((answer.body as { operationId: string }).operationId);
      assert.ok(problem, 'the operation succeeded');
      return assertProblem(problem, refusal, status);
    }
    return assertProblemAnswer(answer, refusal, status);
  }

  private inventory() {
    return takeInventory(this.cloud, this.storage);
  }
}

/** Two lines for a person: what went wrong, and what to do. */
export function assertSpoken(stderr: string, says: RegExp): Spoken {
  const [, detail = '', action = ''] = /^error: (.+)\n {2}try: (.+)\n$/.exec(stderr) ?? [];
  assertSentence(detail, stderr);
  assert.ok(action.length > 5, stderr);
  assert.match(detail, says);
  return { detail, action };
}

function assertProblemAnswer({ status, type, body }: Answer, refusal: Refusal, expected: number): Spoken {
  assert.equal(status, expected, JSON.stringify(body));
  assert.match(type, /^application\/problem\+json/);
  return assertProblem(body as Problem, refusal, expected);
}

function assertProblem(problem: Problem, { code, says, field }: Refusal, status: number): Spoken {
  const { detail, action } = problem;
  assert.deepEqual(
    { code: problem.code, status: problem.status, type: problem.type, field: problem.field },
    { code, status, type: `urn:virga:error:${code}`, field },
    detail,
  );
  assertSentence(detail, detail);
  assert.ok(action.length > 5, detail);
  assert.match(detail, says);
  return { detail, action };
}

function assertSentence(detail: string, whole: string): void {
  assert.match(detail, /^\S.*[.!?]$/, whole);
  assert.doesNotMatch(detail, leaks, whole);
}
