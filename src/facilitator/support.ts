import type { Facilitator, KnownFacilitator, Supported } from './facilitator.ts'

/** Knows what each facilitator can do, and keeps asking those that have not answered. */
export interface SupportWatch {
  /** Those that have answered, in the configured order. */
  known(): readonly KnownFacilitator[]
  /** Names of those that have not. */
  silent(): readonly string[]
  /** Resolves when each has answered or failed once. */
  readonly firstRound: Promise<void>
  close(): void
}

const RETRY_MS_FIRST = 500
const RETRY_MS_MAX = 30_000
const REFRESH_MS = 10 * 60_000

/** @param onChange Called whenever what is known has changed. */
export function watchSupport(
  facilitators: readonly Facilitator[],
  onChange: () => void,
): SupportWatch {
  const answers = new Map<Facilitator, Supported>()
  const timers = new Map<Facilitator, NodeJS.Timeout>()
  let closed = false

  const ask = async (facilitator: Facilitator, failures: number): Promise<void> => {
    const supported = await facilitator.supported().catch(() => null)
    if (closed) return
    // One that fails a refresh keeps its last answer: what it can do does not change that often.
    const nextMs =
      supported === null ? Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** failures) : REFRESH_MS
    const timer = setTimeout(() => void ask(facilitator, supported ? 0 : failures + 1), nextMs)
    timers.set(facilitator, timer.unref())
    if (supported === null) return
    const changed = JSON.stringify(answers.get(facilitator)) !== JSON.stringify(supported)
    answers.set(facilitator, supported)
    if (changed) onChange()
  }

  const firstRound = Promise.all(facilitators.map(facilitator => ask(facilitator, 0)))

  return {
    known: () =>
      facilitators.flatMap(facilitator => {
        const supported = answers.get(facilitator)
        return supported === undefined ? [] : [{ facilitator, supported }]
      }),
    silent: () => facilitators.filter(entry => !answers.has(entry)).map(({ name }) => name),
    firstRound: firstRound.then(() => {}),
    close() {
      closed = true
      for (const timer of timers.values()) clearTimeout(timer)
    },
  }
}
