// How the files of the suite register their tests.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type ErrorCode, VirgaError } from '@virga/contract/errors';
import type { ContractWorld } from './contract-world.ts';

/** Registers a test of one sentence of the contract. */
export type ContractTest = (sentence: string, body: (world: ContractWorld, t: TestContext) => Promise<void>) => void;

/** Passes when the work fails with that error of the registry, whose sentences are there to be read. */
export async function rejectsWith(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof VirgaError, `expected ${code}, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.detail, /^\S.*[.!?]$/s);
    assert.match(error.action, /\S/);
    return true;
  });
}
