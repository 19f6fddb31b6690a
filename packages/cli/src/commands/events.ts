import { VirgaError } from '@virga/contract/errors';
import type { Event } from '@virga/contract/rest/events';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { interruptedExit } from '../interrupt.ts';
import { listAll } from '../list-all.ts';
import { printable } from '../output/format.ts';
import type { Column } from '../output/table.ts';
import { resourceIdOf } from './shared-lookups.ts';

export const events = defineCommand({
  meta: {
    path: 'events',
    summary: 'Show what was asked and what happened, or follow it live',
    details:
      'Without --follow: the latest events, oldest first. With --follow: what happens from now on, until Ctrl-C; a broken ' +
      'connection is made again and goes on where it was. With --output json each event is one line.',
    section: 'Watching',
  },
  args: {},
  options: {
    follow: { type: 'flag', summary: 'go on printing what happens' },
    category: {
      type: 'text',
      value: 'CATEGORY',
      choices: ['audit', 'lifecycle'],
      summary: 'only what users asked, or only what happened',
    },
    resource: {
      type: 'text',
      value: 'RESOURCE',
      summary: 'only about this resource: name of an instance, or id of anything',
      complete: 'instance',
    },
    after: { type: 'text', value: 'CURSOR', summary: 'only what came after this event; with --follow: start there' },
    limit: { type: 'integer', value: 'N', summary: 'at most this many', minimum: 1, maximum: 100_000, default: 50 },
    cloud: { type: 'flag', summary: 'of the whole cloud instead of the project; needs the cloud role viewer' },
  },
  examples: [
    { command: 'virga events', explains: 'the latest fifty of the project' },
    { command: 'virga events --follow', explains: 'watches live' },
    { command: 'virga events --follow --output json | jq .type', explains: 'one JSON document a line, for a program' },
    { command: 'virga events --resource web --category audit', explains: 'who asked what of web' },
  ],
  async run(context, { options }) {
    if (options.follow && options.cloud) {
      throw new VirgaError('InvalidArgument', {
        detail: '--follow and --cloud were both given.',
        action: 'Follow a project, or list the events of the cloud.',
      });
    }
    const client = await context.client();
    const resourceId = await resourceIdOf(client, options.resource);
    if (options.follow) return follow(context, { ...options, resourceId });
    const filter = {
      ...(options.category ? { category: options.category } : {}),
      ...(resourceId ? { resourceId } : {}),
    };
    const list = options.cloud ? client.listCloudEvents : client.listEvents;
    const order = options.after === undefined ? 'newest' : 'oldest';
    const page = (query: { limit?: number; cursor?: string }) => {
      const cursor = query.cursor ?? options.after;
      return list({ query: { ...query, ...filter, order, ...(cursor === undefined ? {} : { cursor }) } });
    };
    const items = await listAll(page, options.limit);
    if (order === 'newest') items.reverse();
    await context.print.list(items, columns, (item) => item.cursor, 'Nothing has happened yet. Watch with --follow.');
    return 0;
  },
});

type FollowFilter = {
  category: 'audit' | 'lifecycle' | undefined;
  resourceId: string | undefined;
  after: string | undefined;
};

async function follow(context: CommandContext, { category, resourceId, after }: FollowFilter): Promise<number> {
  const { followEvents } = await import('../streams/follow-events.ts');
  const signal = context.endless();
  context.print.note('Following events. Ctrl-C ends it.');
  const stream = followEvents({
    connection: await context.connection(),
    category,
    resourceId,
    after,
    signal,
    onBreak: (reason, pauseMs) => context.print.note(`  ${reason}; trying again in ${pauseMs / 1000} s`),
  });
  for await (const event of stream) await context.print.item(event, eventLine(event));
  return context.interrupt().aborted ? interruptedExit : 0;
}

const columns: Column<Event>[] = [
  { header: 'TIME', value: (item) => item.time, essential: true },
  { header: 'CATEGORY', value: (item) => item.category, whole: true },
  { header: 'TYPE', value: (item) => item.type, whole: true },
  { header: 'RESOURCE', value: (item) => item.resourceName ?? item.resourceId ?? '-' },
  { header: 'BY', value: (item) => item.actor },
  { header: 'MESSAGE', value: (item) => item.message },
];

/** One event as a line whose parts stand below those of the line before, as far as they fit. */
function eventLine(event: Event): string {
  const resource = event.resourceName ?? event.resourceId ?? '-';
  const parts = [event.time, event.category.padEnd(9), event.type.padEnd(25), resource.padEnd(16), event.message];
  return printable(parts.join('  '));
}
