// Makes the root folder of a recipe: the distribution by mmdebstrap, then the files and the commands of the recipe. Owns
// what is taken out afterwards, so that the same packages make the same folder. Fails with OperationFailed, which says what a
// package or command said.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImageRecipe, packagesOf, type RecipeCommand } from '@virga/contract/agent/image-recipe';
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed, runCommand } from '../run-command.ts';
import { runAsBuilder } from './builder-namespace.ts';

export type RecipeRoot = { path: string; sources: string[]; packages: { name: string; version: string }[] };
type Options = {
  /** A folder that the builder may write to. */
  folder: string;
  epochSeconds: number;
  signal?: AbortSignal | undefined;
  onProgress?: ((message: string, percent: number) => void) | undefined;
};

const buildMs = 3_600_000;
const fewestTools = '/usr/bin:/usr/sbin:/bin:/sbin';

export async function makeRecipeRoot(recipe: ImageRecipe, options: Options): Promise<RecipeRoot> {
  const { folder, epochSeconds, signal, onProgress } = options;
  const { base, network = false } = recipe;
  const path = join(folder, 'root');
  await writeStage(recipe, folder);
  const sources = await sourcesOf(base);
  const packages = packagesOf(recipe);
  const args = [
    ...['mmdebstrap', '--mode=root', `--variant=${base.variant ?? 'minbase'}`, '--architectures=amd64'],
    ...(packages.length > 0 ? [`--include=${packages.join(',')}`] : []),
    ...[
      '--aptopt=Apt::Install-Recommends "false"',
      '--aptopt=Acquire::Retries "3"',
      '--dpkgopt=force-unsafe-io',
      '--dpkgopt=force-confold',
    ],
    ...(base.snapshot ? ['--aptopt=Acquire::Check-Valid-Until "false"'] : []),
    ...(await proxiesOfApt()).map((option) => `--aptopt=${option}`),
    ...leftOut.flatMap((rule) => [`--dpkgopt=${rule}`]),
    // Where no package is configured, that is all there is to hook into.
    `--${base.variant === 'extract' ? 'extract' : 'customize'}-hook=sh '${join(folder, 'stage', 'apply')}' "$1" ${network ? 'online' : 'offline'}`,
    ...[base.suite, path, ...sources],
  ];
  onProgress?.('installing packages', 5);
  let percent = 5;
  await act('mmdebstrap could not make the system of the recipe', () =>
    runAsBuilder(args, {
      network: true,
      // What mmdebstrap leaves in there goes with the folder.
      env: { ...proxies(), TMPDIR: folder, SOURCE_DATE_EPOCH: String(epochSeconds), DEBIAN_FRONTEND: 'noninteractive' },
      timeoutMs: buildMs,
      signal,
      onLine(line) {
        if (!/^(I:|Setting up|Unpacking|recipe:)/.test(line) || percent >= 60) return;
        percent = Math.min(60, percent + (line.startsWith('I:') ? 2 : 0.1));
        onProgress?.(line.startsWith('recipe:') ? line.slice(8) : 'installing packages', Math.floor(percent));
      },
    }),
  );
  await act('the folder could not be finished', () =>
    runAsBuilder(
      ['sh', join(folder, 'stage', 'finish'), path, String(epochSeconds), recipe.seal === false ? 'keep' : 'seal'],
      { signal, timeoutMs: buildMs },
    ),
  );
  return { path, sources, packages: await installedPackages(path) };
}

/** The way to the packages, where there is no other. */
function proxies(): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** And that of the host's own apt, which mmdebstrap does not look at. */
async function proxiesOfApt(): Promise<string[]> {
  const dump = ['dump', '--format', '%f "%v";%n', 'Acquire::http', 'Acquire::https'];
  const text = await runCommand('apt-config', dump).catch(() => '');
  return text.split('\n').filter((line) => /^Acquire::https?::Proxy(::|\s)/.test(line) && !line.endsWith(' "";'));
}

/** What nobody reads on a server, and what is not the same twice. */
const leftOut = [
  ...['path-exclude=/usr/share/man/*', 'path-exclude=/usr/share/info/*', 'path-exclude=/usr/share/locale/*'],
  ...['path-exclude=/usr/share/doc/*', 'path-include=/usr/share/doc/*/copyright'],
];

/** Files for the builder: what the recipe writes, and the scripts that do it. */
async function writeStage({ files = [], commands = [] }: ImageRecipe, folder: string): Promise<void> {
  const stage = join(folder, 'stage');
  await mkdir(join(stage, 'files'), { recursive: true, mode: 0o755 });
  const steps: string[] = [];
  for (const [index, { path, content, encoding = 'text', mode = '0644', owner = '0:0' }] of files.entries()) {
    const bytes = Buffer.from(content, encoding === 'base64' ? 'base64' : 'utf8');
    await writeFile(join(stage, 'files', String(index)), bytes, { mode: 0o644 });
    steps.push(`put ${index} ${path} ${mode} ${owner}`);
  }
  for (const [index, command] of commands.entries()) {
    await writeFile(join(stage, 'files', `command-${index}`), scriptOf(command), { mode: 0o755 });
    steps.push(`run ${index}`);
  }
  await writeFile(join(stage, 'apply'), `${applyScript}\n${steps.join('\n')}\n`, { mode: 0o755 });
  await writeFile(join(stage, 'finish'), finishScript, { mode: 0o755 });
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
const scriptOf = (command: RecipeCommand): string =>
  Array.isArray(command) ? `exec ${command.map(quoted).join(' ')}\n` : `${command.script}\n`;

/**
 * Runs in the builder with the folder of the system as its argument. Links in it must not lead out of it, so files are put
 * there from within.
 */
const applyScript = `set -eu
root=$1 network=$2 stage=$(dirname "$0")
PATH=${fewestTools}
inside() { if [ "$network" = online ]; then chroot "$root" "$@"; else unshare --net chroot "$root" "$@"; fi; }
put() {
  echo "recipe: writing $2"
  chroot "$root" sh -eu -c 'mkdir -p "$(dirname "$1")"; rm -f "$1"; cat >"$1"; chown "$3" "$1"; chmod "$2" "$1"' sh "$2" "$3" "$4" <"$stage/files/$1"
}
run() {
  echo "recipe: running command $1"
  inside sh -eu -s <"$stage/files/command-$1"
}`;

/** What is not the same twice goes, and nothing is newer than the recipe. */
const finishScript = `set -eu
root=$1 epoch=$2
mkdir -p "$root"/etc "$root"/var/log
rm -rf "$root"/dev/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb \\
  "$root"/var/cache/ldconfig/aux-cache "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old \\
  "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/run/* "$root"/tmp/*
[ "$3" = keep ] || rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/systemd/random-seed
rm -f "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow- "$root"/etc/subuid- "$root"/etc/subgid-
find "$root"/var/log -type f -exec truncate --size=0 {} +
: >"$root"/etc/machine-id
echo localhost >"$root"/etc/hostname
rm -f "$root"/etc/resolv.conf
if [ -e "$root"/usr/lib/systemd/systemd-resolved ] || [ -e "$root"/lib/systemd/systemd-resolved ]; then
  ln -s /run/systemd/resolve/stub-resolv.conf "$root"/etc/resolv.conf
fi
find "$root" -newermt "@$epoch" -exec touch --no-dereference --date="@$epoch" {} +
`;

type Base = ImageRecipe['base'];

/** Lines of apt sources; none: mmdebstrap knows the distribution's own. */
async function sourcesOf({ distribution, suite, mirror, snapshot, keyring }: Base): Promise<string[]> {
  const component = distribution === 'ubuntu' ? 'main universe' : 'main';
  const at = (address: string) => (snapshot ? `${address.replace(/\/$/, '')}/${snapshot}` : address);
  if (mirror) return [`deb ${keyring ? `[signed-by=${keyring}] ` : ''}${at(mirror)} ${suite} ${component}`];
  if (snapshot) {
    const archive = 'http://snapshot.debian.org/archive';
    return [
      `deb ${archive}/debian/${snapshot} ${suite} main`,
      `deb ${archive}/debian/${snapshot} ${suite}-updates main`,
      `deb ${archive}/debian-security/${snapshot} ${suite}-security main`,
    ];
  }
  const suites = [suite, `${suite}-updates`, `${suite}-security`];
  const format = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)';
  const text = await runCommand('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']).catch(
    () => '',
  );
  const own = text
    .split('\n')
    .map((line) => line.split('|'))
    .filter(([, release = '']) => suites.includes(release))
    .map(([uri, release, name]) => `deb ${uri} ${release} ${name}`);
  return own.some((line) => line.split(' ')[2] === suite) ? [...new Set(own)] : [];
}

async function installedPackages(root: string): Promise<RecipeRoot['packages']> {
  const status = await readFile(join(root, 'var/lib/dpkg/status'), 'utf8').catch(() => '');
  const field = (text: string, name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
  return status
    .split('\n\n')
    .filter((text) => field(text, 'Status').endsWith(' installed'))
    .map((text) => ({ name: field(text, 'Package'), version: field(text, 'Version') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function act(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const said = error.stderr
      .split('\n')
      .filter((line) => /^(E:|W:|recipe:|sh:|chroot:)|rror|annot|ailed|not found/.test(line));
    throw new VirgaError('OperationFailed', {
      detail: `The image could not be built: ${what}. ${(said.length > 0 ? said : error.stderr.split('\n')).slice(-4).join(' | ')}`,
      action: 'Mend the recipe, or what it says above, and build again.',
      cause: error,
    });
  }
}
