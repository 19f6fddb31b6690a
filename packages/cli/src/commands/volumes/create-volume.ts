import type { Volume } from '@virga/contract/rest/volumes';
import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
import { readSize } from '../../size.ts';
import { waitOption } from '../shared-options.ts';

export const createVolume = defineCommand({
  meta: {
    path: 'volumes create',
    summary: 'Create an empty volume',
    details:
      'A volume lies on one host, and only instances there can have it: put it beside the instance that is to have it. On ' +
      'the host it takes as much as was written to it.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    size: { type: 'text', value: 'SIZE', summary: 'such as 20GiB; without a unit in GiB', required: true },
    instance: { type: 'text', value: 'INSTANCE', summary: 'put it beside this instance', complete: 'instance' },
    host: {
      type: 'text',
      value: 'HOST',
      summary: 'put it on this host; default the one with most free storage',
      complete: 'host',
    },
    scratch: { type: 'flag', summary: 'what is on it may be lost: no backups, and any cache mode; for good' },
    wait: waitOption,
  },
  examples: [
    {
      command: 'virga volumes create data --size 20GiB --instance web --wait && virga attach web data',
      explains: 'a disk more for web',
    },
  ],
  async run(context, { args: { name }, options: { size, instance, host, scratch, wait } }) {
    const client = await context.client();
    const body = {
      name,
      sizeGib: readSize('--size', size, 'GiB'),
      ...(instance === undefined ? {} : { instance }),
      ...(host === undefined ? {} : { host }),
      ...(scratch ? { scratch } : {}),
    };
    const change = {
      name,
      request: async () => {
        const answer = await idempotent((request) => client.createVolume({ body }, request));
        return { operationId: answer.operationId, resource: answer.volume };
      },
      afterwards: ({ id }: Volume) => client.getVolume({ params: { id } }),
      done: ({ state }: Volume) => state,
    };
    const outcomes = await makeChanges(context, [change], wait);
    const words = { noun: 'volume', requested: 'creation requested', done: change.done };
    return reportChanges(context, outcomes, words, { waited: wait, many: false });
  },
});
