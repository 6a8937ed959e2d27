/** Lines a second of each kind. The metrics count all of them. */
const LINES_PER_SECOND = 10
const SECOND_MS = 1000

/** Told of one more: null, when it is left out; else how many were left out since the last line. */
export type Sample = (kind: string) => number | null

/**
 * Keeps a flood of requests that are all alike from filling a log. Kinds are from a fixed set.
 *
 * @param now Milliseconds on a clock that only goes forward.
 */
export function createSample(now: () => number = () => performance.now()): Sample {
  const kinds = new Map<string, { since: number; lines: number; leftOut: number }>()
  return kind => {
    const at = now()
    const known = kinds.get(kind)
    const seen = known ?? { since: at, lines: 0, leftOut: 0 }
    if (known === undefined) kinds.set(kind, seen)
    if (at - seen.since >= SECOND_MS) Object.assign(seen, { since: at, lines: 0 })
    if (seen.lines === LINES_PER_SECOND) {
      seen.leftOut++
      return null
    }
    seen.lines++
    const { leftOut } = seen
    seen.leftOut = 0
    return leftOut
  }
}
