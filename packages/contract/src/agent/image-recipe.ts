// What an image is to be made of, as data: whoever has the recipe and the same packages makes the same image. The commands of a
// recipe run as root of the new system on the host that builds it, so recipes are of administrators of the cloud alone.
import { type Static, Type } from 'typebox';

const Text = (pattern: string, description: string, maxLength = 200) =>
  Type.String({ pattern, description, maxLength });
const guestPath = Text('^(/[A-Za-z0-9_.+@:-]+)+$', 'absolute path in the guest', 1024);

export const toolGroups = {
  basic: [
    'bash-completion',
    'curl',
    'htop',
    'less',
    'lrzsz',
    'lsof',
    'net-tools',
    'rsync',
    'screen',
    'tree',
    'vim',
    'wget',
  ],
} as const;
export type ToolGroup = keyof typeof toolGroups;

export const RecipeFile = Type.Object(
  {
    path: guestPath,
    content: Type.String({ maxLength: 1_400_000 }),
    encoding: Type.Optional(
      Type.Union([Type.Literal('text'), Type.Literal('base64')], { description: 'of the content; default text' }),
    ),
    mode: Type.Optional(Text('^[0-7]{3,4}$', 'rights in octal, such as 0644, which is the default')),
    owner: Type.Optional(Text('^[a-z0-9_-]+(:[a-z0-9_-]+)?$', 'USER or USER:GROUP of the guest; default root:root')),
  },
  { additionalProperties: false },
);
export type RecipeFile = Static<typeof RecipeFile>;

export const RecipeCommand = Type.Union([
  Type.Array(Type.String({ maxLength: 4096 }), {
    minItems: 1,
    maxItems: 100,
    description: 'a program and its arguments',
  }),
  Type.Object(
    { script: Type.String({ minLength: 1, maxLength: 100_000, description: 'lines for /bin/sh -eu' }) },
    { additionalProperties: false },
  ),
]);
export type RecipeCommand = Static<typeof RecipeCommand>;

export const ImageRecipe = Type.Object(
  {
    description: Type.Optional(Type.String({ maxLength: 1000 })),
    base: Type.Object(
      {
        distribution: Type.Union([Type.Literal('debian'), Type.Literal('ubuntu')]),
        suite: Text('^[a-z][a-z0-9.-]{0,31}$', 'such as bookworm or noble'),
        architecture: Type.Optional(Type.Literal('amd64')),
        mirror: Type.Optional(
          Text(
            '^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~+%-]*)*$',
            "where packages come from; default the host's own apt sources",
            500,
          ),
        ),
        snapshot: Type.Optional(
          Text(
            '^[0-9]{8}T[0-9]{6}Z$',
            'as of that moment, from snapshot.debian.org or the mirror, which must offer /archive/',
          ),
        ),
        keyring: Type.Optional(
          Text(
            '^(/[A-Za-z0-9_.+@-]+)+$',
            'file on the host with the keys that a mirror signs with; default those that apt trusts',
          ),
        ),
        variant: Type.Optional(
          Type.Union([Type.Literal('minbase'), Type.Literal('essential'), Type.Literal('extract')], {
            description:
              'before any package is named; essential has no apt; extract has nothing and configures no package; default minbase',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    packages: Type.Optional(
      Type.Array(Text('^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?$', 'name of a package'), { maxItems: 500 }),
    ),
    tools: Type.Optional(
      Type.Array(Type.Union([Type.Literal('basic')]), { maxItems: 1, description: 'groups of tools that people miss' }),
    ),
    files: Type.Optional(Type.Array(RecipeFile, { maxItems: 500, description: 'written before the commands run' })),
    commands: Type.Optional(
      Type.Array(RecipeCommand, { maxItems: 100, description: 'run in the new system, in this order' }),
    ),
    network: Type.Optional(Type.Boolean({ description: 'commands may use the network; default false' })),
    sizeMib: Type.Integer({
      minimum: 64,
      maximum: 1_048_576,
      description: 'size of the disk in MiB; guests grow it to theirs',
    }),
    boot: Type.Optional(
      Type.Union([Type.Literal('bios'), Type.Literal('uefi'), Type.Literal('both'), Type.Literal('none')], {
        description: 'what it boots from, default both; none: a disk with files, without kernel and boot loader',
      }),
    ),
    kernel: Type.Optional(Text('^[a-z0-9][a-z0-9+.-]+$', 'the package of the kernel; default the one for clouds')),
    kernelArguments: Type.Optional(
      Type.Array(Text('^[^\\s"\'\\\\$;#{}]+$', 'an argument of the kernel'), { maxItems: 50 }),
    ),
    defaultUser: Type.Optional(Text('^[a-z_][a-z0-9_-]{0,31}$', 'who to log in as over SSH')),
    minimumMemoryMib: Type.Optional(Type.Integer({ minimum: 0, maximum: 16_777_216 })),
    agent: Type.Optional(Type.Boolean({ description: 'install the QEMU guest agent; default true where it boots' })),
    cloudInit: Type.Optional(Type.Boolean({ description: 'install cloud-init; default true where it boots' })),
    warmable: Type.Optional(Type.Boolean({ description: 'its guests can be copied while they run; default false' })),
    seal: Type.Optional(Type.Boolean({ description: 'take out what is of one machine alone; default true' })),
  },
  { additionalProperties: false, $id: 'ImageRecipe' },
);
export type ImageRecipe = Static<typeof ImageRecipe>;

/** Every package that a recipe names, by itself or by what it asks for; sorted, each once. */
export function packagesOf(recipe: ImageRecipe): string[] {
  const { base, packages = [], tools = [], boot = 'both' } = recipe;
  const boots = boot !== 'none';
  const named = [
    ...packages,
    ...tools.flatMap((group) => toolGroups[group]),
    ...(boots ? [recipe.kernel ?? kernels[base.distribution], ...bootPackages] : []),
    ...((recipe.agent ?? boots) ? ['qemu-guest-agent'] : []),
    ...((recipe.cloudInit ?? boots) ? cloudInitPackages : []),
  ];
  return [...new Set(named)].sort();
}

const kernels = { debian: 'linux-image-cloud-amd64', ubuntu: 'linux-image-virtual' } as const;
const bootPackages = ['dbus', 'initramfs-tools', 'kmod', 'systemd-sysv', 'udev', 'zstd'];
const cloudInitPackages = [
  'cloud-guest-utils',
  'cloud-init',
  'e2fsprogs',
  'fdisk',
  'iproute2',
  'netbase',
  'openssh-server',
  'sudo',
];
