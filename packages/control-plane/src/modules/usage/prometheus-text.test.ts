import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prometheusText } from './prometheus-text.ts';

test('metrics are written as Prometheus reads them, whatever stands in a name, and without what is not known', () => {
  const text = prometheusText([
    {
      name: 'virga_host_load',
      help: 'Load average\nover a minute.',
      samples: [
        { labels: { host: 'a "b" \\ c' }, value: 0.5 },
        { labels: { host: 'silent' }, value: null },
        { labels: {}, value: 1e21 },
      ],
    },
  ]);
  assert.equal(
    text,
    '# HELP virga_host_load Load average\\nover a minute.\n# TYPE virga_host_load gauge\n' +
      'virga_host_load{host="a \\"b\\" \\\\ c"} 0.5\nvirga_host_load 1e+21\n',
  );
});
