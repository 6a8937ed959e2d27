import { formatAmount } from '../core/amount.ts'

/** Values of a metric's labels. */
export type Labels = Readonly<Record<string, string>>

/** Upper bounds in seconds. The top ones are for slow upstreams and slow chains. */
const DURATION_BUCKETS: readonly number[] = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** How often durations fell into which bucket. */
export interface Durations {
  /** One for each bound, not cumulated; the last is what lies beyond all bounds. */
  readonly counts: Float64Array
  /** Seconds. */
  sum: number
}

export function createDurations(): Durations {
  return { counts: new Float64Array(DURATION_BUCKETS.length + 1), sum: 0 }
}

export function addDuration(durations: Durations, milliseconds: number): void {
  const seconds = milliseconds / 1000
  let bucket = 0
  while (bucket < DURATION_BUCKETS.length && seconds > (DURATION_BUCKETS[bucket] ?? 0)) bucket++
  durations.counts[bucket] = (durations.counts[bucket] ?? 0) + 1
  durations.sum += seconds
}

/** One labelled value per key. */
export interface Series<T> {
  /** The value of a key; made on first use. `labels` is asked for then only. */
  at(key: string, labels: () => Labels): T
  entries(): Iterable<{ readonly labels: Labels; readonly value: T }>
}

/** What a metric keeps at most. Beyond it everything is counted under the label value "(other)". */
const SERIES_MAX = 20_000

export function createSeries<T>(create: () => T, seriesMax: number = SERIES_MAX): Series<T> {
  const known = new Map<string, { readonly labels: Labels; readonly value: T }>()
  return {
    at(key, labels) {
      const found = known.get(key)
      if (found !== undefined) return found.value
      const isFull = known.size >= seriesMax
      const fresh = isFull ? othersOf(labels()) : labels()
      const slot = isFull ? '(other)' : key
      const entry = known.get(slot) ?? { labels: fresh, value: create() }
      known.set(slot, entry)
      return entry.value
    },
    entries: () => known.values(),
  }
}

function othersOf(labels: Labels): Labels {
  return Object.fromEntries(Object.keys(labels).map(name => [name, '(other)']))
}

export function* mapValues<T>(
  entries: Iterable<{ readonly labels: Labels; readonly value: T }>,
  toNumber: (value: T) => number,
): Iterable<{ readonly labels: Labels; readonly value: number }> {
  for (const { labels, value } of entries) yield { labels, value: toNumber(value) }
}

/** One line of the Prometheus text format. */
export interface Sample {
  readonly metricName: string
  readonly labels: Labels
  readonly value: number
}

/** A histogram's lines: Prometheus wants each bucket to count the lower ones too. */
export function toHistogramSamples(name: string, labels: Labels, durations: Durations): Sample[] {
  let count = 0
  const samples: Sample[] = []
  for (const [index, inBucket] of durations.counts.entries()) {
    count += inBucket
    const le = String(DURATION_BUCKETS[index] ?? '+Inf')
    samples.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: count })
  }
  samples.push({ metricName: `${name}_sum`, labels, value: durations.sum })
  samples.push({ metricName: `${name}_count`, labels, value: count })
  return samples
}

/**
 * Money in whole tokens or coins, rounded, for charts. The only place where money becomes a float:
 * Prometheus knows no other number. Sums are made before, of atomic units, exactly.
 */
export function toChartNumber(amount: bigint, decimals: number): number {
  return Number(formatAmount(amount, decimals))
}
