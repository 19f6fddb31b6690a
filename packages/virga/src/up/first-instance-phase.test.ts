import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '@virga/contract/rest/images';
import { smallestFor } from './first-instance-phase.ts';

const types = [
  { name: 'large', vcpus: 4, memoryMib: 4096, diskGib: 20 },
  { name: 'nano', vcpus: 1, memoryMib: 128, diskGib: 1 },
  { name: 'wide', vcpus: 2, memoryMib: 512, diskGib: 4 },
  { name: 'small', vcpus: 1, memoryMib: 512, diskGib: 4 },
];
const image = (minimumMemoryMib: number) => ({ name: 'starter', minimumMemoryMib }) as Image;

test('the first instance is of the smallest type that its image can run in', () => {
  assert.equal(smallestFor(image(128), types).name, 'nano');
  assert.equal(smallestFor(image(256), types).name, 'small');
});

test('where no type is large enough, it says what to make', () => {
  assert.throws(() => smallestFor(image(9000), types), { name: 'Conflict', detail: /9000 MiB/ });
});
