import { Counter, type Metric, type Registry } from 'prom-client'
import { type Durations, type Labels, toHistogramSamples } from './series.ts'

type Entries<T> = () => Iterable<{ readonly labels: Labels; readonly value: T }>

/** A counter whose numbers are kept elsewhere and handed over when somebody scrapes. */
export function registerCounter(
  registry: Registry,
  metric: {
    readonly name: string
    readonly help: string
    readonly labelNames: readonly string[]
    readonly entries: Entries<number>
  },
): void {
  const { name, help, labelNames, entries } = metric
  const counter = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      counter.reset()
      for (const { labels, value } of entries()) counter.inc(labels, value)
    },
  })
}

/**
 * A histogram whose numbers are kept elsewhere: prom-client's own costs a microsecond a request.
 */
export function registerHistogram(
  registry: Registry,
  metric: { readonly name: string; readonly help: string; readonly entries: Entries<Durations> },
): void {
  const { name, help, entries } = metric
  const histogram = {
    name,
    get: async () => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: [...entries()].flatMap(({ labels, value }) =>
        toHistogramSamples(name, labels, value),
      ),
    }),
  }
  // The registry asks a metric for these two only, but its type lists the four built-in classes.
  registry.registerMetric(histogram as unknown as Metric) // see above
}
