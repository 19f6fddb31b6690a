import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../route.ts';
import { api } from './api.ts';

const routes = Object.entries(api) as [string, Route][];

test('no two routes have the same method and path', () => {
  const seen = routes.map(([, route]) => `${route.method} ${route.path.replace(/\{\w+\}/g, '{}')}`);
  assert.deepEqual(
    seen.filter((key, index) => seen.indexOf(key) !== index),
    [],
  );
});

test('a route declares exactly the parameters of its path', () => {
  for (const [name, route] of routes) {
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    const declared = Object.keys((route.params as { properties?: object } | undefined)?.properties ?? {});
    assert.deepEqual(declared, inPath, name);
  }
});

test('whatever changes something needs more than the role of a viewer', () => {
  for (const [name, route] of routes) {
    if (route.method === 'GET') continue;
    if (route.access.scope === 'project') assert.notEqual(route.access.role, 'viewer', name);
    if (route.access.scope === 'cloud') assert.equal(route.access.role, 'admin', name);
  }
});

test('only health, login and consoles that a ticket opens are open to strangers', () => {
  const open = routes.filter(([, route]) => route.access.scope === 'public').map(([name]) => name);
  assert.deepEqual(open, ['getHealth', 'login', 'openTicketedConsole']);
});

test('a body refuses fields it does not know', () => {
  for (const [name, route] of routes) {
    const body = route.body as { additionalProperties?: boolean } | undefined;
    if (body) assert.equal(body.additionalProperties, false, name);
  }
});
