// The only imports between packages, and inside the control plane between its layers and modules. DESIGN of the
// repository in code: a fault here is a question about the design, not about the file.
import {
  type Fault,
  type Import,
  isTest,
  type Module,
  resolveImport,
  type SourceTree,
  workspacePackages,
} from './source-tree.ts';

/** What each package may import of ours. */
export const packageArrows: Readonly<Record<string, readonly string[]>> = {
  libvirt: [],
  contract: [],
  'host-agent': ['contract', 'libvirt'],
  'control-plane': ['contract'],
  ec2: ['contract'],
  cli: ['contract'],
  console: ['contract'],
  virga: ['libvirt', 'contract', 'host-agent', 'control-plane', 'ec2', 'cli', 'console'],
  testing: ['libvirt', 'contract', 'host-agent', 'control-plane', 'ec2', 'cli', 'console'],
};

/** Modules of the control plane; each may import those before it. */
export const moduleOrder = [
  'identity',
  'projects',
  'quotas',
  'operations',
  'hosts',
  'placement',
  'key-pairs',
  'images',
  'templates',
  'pools',
  'volumes',
  'networks',
  'security-groups',
  'instances',
  'snapshots',
  'backups',
  'usage',
  'load-balancers',
  'autoscaling',
  'services',
  'apps',
  'metering',
] as const;

const controlPlane = 'packages/control-plane/src/';
/** Who may give itself the rights of the system: what runs without a caller. */
const actsAsSystem =
  /^packages\/control-plane\/src\/(access\/|reconcile\/|recover\/|workflows\/|(control-plane|bootstrap)\.ts|modules\/[^/]+\/[^/]+(-reconciler|\.workflow|-reaper)\.ts)/;

type Edge = { module: Module; imported: Import; target: string };

export function findForbiddenArrows(tree: SourceTree): Fault[] {
  const packages = workspacePackages(tree);
  return tree.modules.flatMap((module) =>
    module.imports.flatMap((imported) => {
      const target = resolveImport(module.path, imported.specifier, packages);
      const messages = [
        ...(target === undefined ? [] : betweenPackages(module.path, target)),
        ...(module.path.startsWith(controlPlane) && !isTest(module.path)
          ? insideControlPlane({ module, imported, target: target ?? imported.specifier })
          : []),
      ];
      return messages.map((message) => ({ path: module.path, line: imported.line, message }));
    }),
  );
}

const packageOf = (path: string) => /^packages\/([^/]+)\//.exec(`${path}/`)?.[1];

function betweenPackages(from: string, to: string): string[] {
  const [source, target] = [packageOf(from), packageOf(to)];
  if (source === undefined || target === undefined || source === target) return [];
  const allowed = packageArrows[source];
  if (!allowed) return [`package ${source} is new: say in script/lint/arrows.ts what it may import`];
  // Tests may use the harness, which itself stands on everything.
  if (allowed.includes(target) || (isTest(from) && target === 'testing')) return [];
  return [`${source} must not import ${target}; it may import ${allowed.join(', ') || 'nothing of ours'}`];
}

function insideControlPlane({ module, imported, target }: Edge): string[] {
  const from = module.path.slice(controlPlane.length);
  const to = target.startsWith(controlPlane) ? target.slice(controlPlane.length) : undefined;
  return [
    ...httpRules(from, to, imported.specifier),
    ...moduleRules(from, to),
    ...(to?.startsWith('access/system-access') && !actsAsSystem.test(module.path)
      ? ['only reconcilers, workflows and control-plane.ts act as the system; take a proof from the caller']
      : []),
  ];
}

function httpRules(from: string, to: string | undefined, specifier: string): string[] {
  if (to?.startsWith('http/') && !from.startsWith('http/') && from !== 'control-plane.ts') {
    return ['only control-plane.ts knows the HTTP front'];
  }
  if (!from.startsWith('http/')) return [];
  if (/^(kysely|pg)(\/|$)/.test(specifier)) return ['the HTTP front has no SQL; call an operation of a module'];
  if (to && /-store\.ts$/.test(to)) return ['the HTTP front calls the operations of a module, not its store'];
  return [];
}

function moduleRules(from: string, to: string | undefined): string[] {
  const [source, target] = [moduleOf(from), to === undefined ? undefined : moduleOf(to)];
  if (target !== undefined && !isOrdered(target)) return [`module ${target} is new: place it in script/lint/arrows.ts`];
  if (source === undefined || target === undefined || source === target || !isOrdered(source) || !isOrdered(target))
    return [];
  return moduleOrder.indexOf(target) < moduleOrder.indexOf(source)
    ? []
    : [`module ${source} must not import ${target}, which comes after it`];
}

const moduleOf = (path: string) => /^modules\/([^/]+)\//.exec(path)?.[1];
const isOrdered = (name: string): name is (typeof moduleOrder)[number] =>
  (moduleOrder as readonly string[]).includes(name);
