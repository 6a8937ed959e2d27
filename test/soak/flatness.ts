/** One look at something that must not grow. */
export interface Sample {
  /** Since the load began. */
  readonly seconds: number
  readonly value: number
}

export interface Trend {
  /** Of the first and the last third after the warm-up. */
  readonly before: number
  readonly after: number
  /** By a straight line through all samples after the warm-up. */
  readonly perMinute: number
}

/** Growth that is not one. */
export interface Tolerance {
  /** As a part of what it was before. */
  readonly share: number
  /** In its own unit: small numbers wander. */
  readonly slack: number
}

/**
 * How something developed once it was warm. Medians, because the collector of garbage and the load
 * itself make every single sample accidental.
 *
 * @throws RangeError when there are too few samples to say anything.
 */
export function trendOf(samples: readonly Sample[], warmUpSeconds: number): Trend {
  const warm = samples.filter(({ seconds }) => seconds >= warmUpSeconds)
  if (warm.length < SAMPLES_MIN) throw new RangeError(`${warm.length} samples tell nothing.`)
  const third = Math.floor(warm.length / 3)
  return {
    before: median(warm.slice(0, third)),
    after: median(warm.slice(-third)),
    perMinute: slope(warm) * 60,
  }
}

const SAMPLES_MIN = 9

/** Whether it has stayed what it was. That it shrank is no fault. */
export function isFlat({ before, after }: Trend, { share, slack }: Tolerance): boolean {
  return after - before <= Math.max(before * share, slack)
}

function median(samples: readonly Sample[]): number {
  const sorted = samples.map(({ value }) => value).sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** Least squares. */
function slope(samples: readonly Sample[]): number {
  const count = samples.length
  const meanX = samples.reduce((sum, { seconds }) => sum + seconds, 0) / count
  const meanY = samples.reduce((sum, { value }) => sum + value, 0) / count
  let covariance = 0
  let variance = 0
  for (const { seconds, value } of samples) {
    covariance += (seconds - meanX) * (value - meanY)
    variance += (seconds - meanX) ** 2
  }
  return variance === 0 ? 0 : covariance / variance
}
