import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../route.ts';
import { api } from './api.ts';
import { openApiDocument } from './open-api.ts';

type Operation = {
  operationId: string;
  parameters: { name: string; in: string; required: boolean }[];
  responses: Record<string, unknown>;
  security?: unknown[];
  requestBody?: unknown;
};
type Document = { paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, object> } };
const document = openApiDocument('1.2.3') as Document;
const operations = Object.values(document.paths).flatMap((path) => Object.values(path));

test('every route is an operation, and nothing else is', () => {
  assert.deepEqual(operations.map((operation) => operation.operationId).toSorted(), Object.keys(api).toSorted());
});

test('an operation has the parameters, body, status and security of its route', () => {
  for (const [name, route] of Object.entries(api) as [string, Route][]) {
    const operation = document.paths[route.path]![route.method.toLowerCase()]!;
    const named = (place: string) => operation.parameters.filter((one) => one.in === place).map((one) => one.name);
    const properties = (schema: unknown) => Object.keys((schema as { properties?: object })?.properties ?? {});
    assert.deepEqual(named('path'), properties(route.params), name);
    assert.deepEqual(named('query'), properties(route.query), name);
    assert.equal(operation.requestBody !== undefined, (route.body ?? route.content) !== undefined, name);
    assert.equal(operation.security?.length === 0, route.access.scope === 'public', name);
    assert.ok(route.transport === 'websocket' || operation.responses[route.status ?? 200], name);
    assert.ok(operation.responses.default, name);
  }
});

test('every reference leads to a component, and no schema is written out where it has a name', () => {
  const text = JSON.stringify(document);
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    assert.ok(document.components.schemas[name!], name);
  }
  assert.ok(!text.includes('$id'));
  assert.ok(document.components.schemas.Instance && document.components.schemas.Problem);
});
