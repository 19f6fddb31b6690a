import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestMemory, KsmState } from '@virga/contract/agent/host-memory';
import type { InstanceId, ProjectId } from '@virga/contract/ids';
import { byProject, mergeSaved, rowsOf } from './host-memory-report.ts';

const ksm: KsmState = { running: true, pagesToScan: 100, fullScans: 2, sharedKib: 100, savedKib: 300 };
const id = (number: number) => `i-0000000000000000${number}` as InstanceId;
const project = (number: number) => `proj-0000000000000000${number}` as ProjectId;

const guest = (number: number, changes: Partial<GuestMemory> = {}): GuestMemory => ({
  id: id(number),
  cloudId: 'cloud',
  promisedKib: 1000,
  currentKib: 900,
  residentKib: 500,
  usableKib: null,
  hugePagesKib: 0,
  templateSharedKib: 0,
  templateSavedKib: 0,
  mergedKib: 200,
  mergeable: true,
  hasBalloon: true,
  ...changes,
});
const named = (number: number, of: number) => ({
  id: id(number),
  name: `guest-${number}`,
  project_id: project(of),
  project_name: `project-${of}`,
});

test('what merging saves is divided among the guests whose pages are merged, and adds up to what the host saves', () => {
  const guests = [guest(1), guest(2), guest(3, { mergedKib: 0 })];
  const rows = rowsOf({ guests, ksm }, [named(1, 1), named(2, 2), named(3, 2)]);
  assert.deepEqual(
    rows.map(({ mergeSavedKib }) => mergeSavedKib),
    [150, 150, 0],
  );
  const projects = byProject(rows);
  assert.deepEqual(
    projects.map(({ projectName, guests: count, mergeSavedKib }) => [projectName, count, mergeSavedKib]),
    [
      ['project-1', 1, 150],
      ['project-2', 2, 150],
    ],
  );
});

test('what a kernel does not tell is not known, neither of the guest nor of its project', () => {
  const guests = [guest(1), guest(2, { mergedKib: null, residentKib: null })];
  const rows = rowsOf({ guests, ksm }, [named(1, 1), named(2, 1)]);
  const [sums] = byProject(rows);
  assert.deepEqual(
    [sums!.mergedKib, sums!.mergeSavedKib, sums!.residentKib, sums!.promisedKib],
    [null, null, null, 2000],
  );
  assert.equal(mergeSaved(200, null), null);
});

test('nothing merged is nothing saved, and a guest that the database no longer has is left out', () => {
  assert.equal(mergeSaved(0, { ...ksm, sharedKib: 0, savedKib: 0 }), 0);
  assert.deepEqual(rowsOf({ guests: [guest(1)], ksm }, []), []);
});
