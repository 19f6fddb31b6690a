// Choosing instances by what they have in common instead of by name: by tag, by state, or all of them.
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import { type Instance, InstanceState } from '@virga/contract/rest/instances';
import type { ArgumentDefinition, FlagOption, TextOption, TextsOption } from '../command.ts';
import { listAll } from '../list-all.ts';

export const instancesArgument = {
  summary: 'names or ids',
  variadic: true,
  optional: true,
  complete: 'instance',
} as const satisfies ArgumentDefinition;

export const tagOption = {
  type: 'texts',
  value: 'KEY[=VALUE]',
  summary: 'only those with this tag; may be repeated',
} as const satisfies TextsOption;

export const stateOption = {
  type: 'text',
  value: 'STATE',
  choices: InstanceState.anyOf.map((state) => state.const),
  summary: 'only those in this state',
} as const satisfies TextOption;

/** Options of every command that takes instances. */
export const filterOptions = {
  tag: { ...tagOption, summary: 'instead of names: those with this tag; may be repeated' },
  state: { ...stateOption, summary: 'instead of names: those in this state' },
  all: { type: 'flag', summary: 'instead of names: every instance of the project' } as const satisfies FlagOption,
} as const;

export type InstanceFilter = { tag: readonly string[]; state: Instance['state'] | undefined; all: boolean };

export const isFilter = ({ tag, state, all }: InstanceFilter): boolean => all || tag.length > 0 || state !== undefined;

/** @throws InvalidArgument names and a filter, or neither, or a filter and --all */
export function requireOneChoice(names: readonly string[], filter: InstanceFilter | undefined): void {
  if (!filter || !isFilter(filter)) {
    if (names.length > 0) return;
    throw new VirgaError('InvalidArgument', {
      detail: 'No instance is named.',
      action: filter ? 'Name instances, or choose them with --tag, --state or --all.' : 'Name instances.',
    });
  }
  if (names.length > 0) {
    throw new VirgaError('InvalidArgument', {
      detail: 'Instances are both named and chosen by what they have in common.',
      action: 'Do one of them.',
    });
  }
  if (filter.all && (filter.tag.length > 0 || filter.state !== undefined)) {
    throw new VirgaError('InvalidArgument', {
      detail: '--all was given together with what not all have.',
      action: 'Leave --all out.',
    });
  }
}

/** Those that match, but for what is being deleted. @throws NotFound there are none */
export async function findMatching(client: Client, filter: InstanceFilter): Promise<Instance[]> {
  const { tag, state } = filter;
  const query = { ...(tag.length > 0 && { tag: [...tag] }), ...(state !== undefined && { state }) };
  const found = await listAll((page) => client.listInstances({ query: { ...page, ...query } }));
  const instances = found.filter(({ desiredState }) => desiredState !== 'deleted');
  if (instances.length > 0) return instances;
  throw new VirgaError('NotFound', {
    detail: filter.all ? 'The project has no instance.' : `No instance matches ${describeFilter(filter)}.`,
    action: 'Nothing was changed; virga list --tags shows what there is.',
  });
}

function describeFilter({ tag, state }: InstanceFilter): string {
  return [...tag.map((one) => `--tag ${one}`), ...(state === undefined ? [] : [`--state ${state}`])].join(' ');
}
