// The text format that Prometheus reads: pure.
// See https://prometheus.io/docs/instrumenting/exposition_formats/

export type Labels = Readonly<Record<string, string>>;
export type Metric = {
  name: string;
  help: string;
  /** Null: not known, so left out. */
  samples: readonly { labels: Labels; value: number | null }[];
};

export function prometheusText(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, help, samples }) => [
    `# HELP ${name} ${escaped(help)}`,
    `# TYPE ${name} gauge`,
    ...samples.flatMap(({ labels, value }) => (value === null ? [] : [`${name}${labelText(labels)} ${value}`])),
  ]);
  return `${lines.join('\n')}\n`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}

const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
