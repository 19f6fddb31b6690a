// Images that hosts make, for tests of commands: what a server answers, and what each command prints of it.
import { join } from 'node:path';
import type { LintFinding, LintReport } from '@virga/contract/agent/image-building';
import type { ImageBuild } from '@virga/contract/rest/image-build';
import { anImage } from './contract-examples.ts';

const operationId = 'op-00000000000000001' as const;
const changed = { image: anImage(), operationId } as const;
const recipe = join(import.meta.dirname, '../../../images/recipes/debian-12.yaml');

const aFinding = (fields: Partial<LintFinding> = {}): LintFinding => ({
  id: 'swap',
  title: 'swap',
  verdict: 'ok',
  seen: 'No swap in /etc/fstab, no file and no partition for it.',
  why: 'Swap makes the disk of every copy grow.',
  repair: null,
  ...fields,
});

const aLintReport = (fields: Partial<LintReport> = {}): LintReport => ({
  system: 'Debian GNU/Linux 12 (bookworm)',
  fileSystem: 'ext4',
  findings: [
    aFinding({
      ...{
        id: 'logs',
        title: 'logs',
        verdict: 'warning',
        repair: 'Empties them, and removes older ones and the journal.',
      },
      seen: 'There are 214 kB in 4 files below /var/log: /var/log/dpkg.log, /var/log/lastlog and 2 more.',
      why: 'They tell of another machine, and of those who used it.',
    }),
    aFinding({
      ...{ id: 'basic-tools', title: 'basic tools', verdict: 'advice' },
      seen: 'Missing: screen, tree.',
      why: 'People look for them when something does not work.',
    }),
    aFinding(),
  ],
  ...fields,
});

const anImageBuild = (): ImageBuild => ({
  imageId: anImage().id,
  hostId: 'host-00000000000000001',
  from: { kind: 'recipe', recipe: { base: { distribution: 'debian', suite: 'bookworm' }, sizeMib: 2048 } },
  seal: true,
  record: {
    sources: ['deb http://deb.debian.org/debian bookworm main'],
    packages: [
      { name: 'adduser', version: '3.134' },
      { name: 'apt', version: '2.6.1' },
    ],
    sealed: ['Emptied 4 files below /var/log.'],
    report: aLintReport({ findings: [aFinding()] }),
  },
});

export const buildAnswers = {
  buildImage: () => changed,
  sealImage: () => changed,
  createImage: () => changed,
  getImageBuild: () => anImageBuild(),
  lintImage: () => aLintReport(),
  lintInstance: () => aLintReport(),
};

export const buildCommands = {
  'images build': { argv: ['images', 'build', recipe], json: changed },
  'images create': { argv: ['images', 'create', 'golden', '--from', 'web'], json: changed },
  'images lint': { argv: ['images', 'lint', 'starter'], json: aLintReport() },
  'images seal': { argv: ['images', 'seal', 'starter', '--name', 'sealed'], json: changed },
  'images build-record': { argv: ['images', 'build-record', 'starter'], json: anImageBuild() },
};
