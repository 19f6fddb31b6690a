import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorRegistry, fromProblem, toProblem, VirgaError } from './errors.ts';

test('every error has a status of its class, an exit code that scripts can tell apart and an actor', () => {
  for (const [code, kind] of Object.entries(errorRegistry)) {
    assert.ok(kind.status >= 400 && kind.status < 600, code);
    assert.ok(kind.exit >= 1 && kind.exit <= 8, code);
    assert.match(kind.ec2, /^[A-Z][A-Za-z.]+$/, code);
    if (kind.status < 500) assert.equal(kind.actor, 'caller', `${code}: a 4xx is for the caller to act on`);
  }
});

test('an error survives the way over the wire, without its cause', () => {
  const error = new VirgaError('NameTaken', {
    detail: 'An instance named web-1 exists.',
    action: 'Choose another name.',
    field: '/name',
    cause: new Error('secret detail of the database'),
  });
  const problem = toProblem(error, 'req-1');
  assert.deepEqual(problem, {
    type: 'urn:virga:error:NameTaken',
    title: 'The name is taken',
    status: 409,
    code: 'NameTaken',
    detail: 'An instance named web-1 exists.',
    action: 'Choose another name.',
    field: '/name',
    retryable: false,
    requestId: 'req-1',
  });
  const back = fromProblem(problem);
  assert.equal(back.code, 'NameTaken');
  assert.equal(back.field, '/name');
  assert.equal(back.kind.exit, 4);
});

test('an error code of a newer server becomes a failed operation and keeps its sentences', () => {
  const error = fromProblem({ code: 'QuantumFlux', detail: 'The flux is low.', action: 'Raise it.' });
  assert.equal(error.code, 'OperationFailed');
  assert.equal(error.detail, 'The flux is low.');
});
