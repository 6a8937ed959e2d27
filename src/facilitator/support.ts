import type { GuardedFacilitator, KnownFacilitator, Supported } from './facilitator.ts'
import type { SupportMemory } from './support-cache.ts'

/** A facilitator, and where what it said is kept from one process to the next. */
export interface WatchedFacilitator {
  readonly facilitator: GuardedFacilitator
  readonly memory: SupportMemory
}

/** Knows what each facilitator can do, and keeps asking those that have not answered. */
export interface SupportWatch {
  /** Those that have answered, now or in an earlier process, in the configured order. */
  known(): readonly KnownFacilitator[]
  /** Those that have not answered this process. */
  silent(): readonly GuardedFacilitator[]
  /** Resolves when each of which nothing was known has answered or failed once. */
  readonly firstRound: Promise<void>
  close(): void
}

const RETRY_MS_FIRST = 500
const RETRY_MS_MAX = 30_000
const REFRESH_MS = 10 * 60_000

/** What a facilitator may have tied payments to that are still on their way. */
const EARLIER_MAX = 8

interface Said {
  supported: Supported
  earlier: readonly Supported[]
  /** False as long as only an earlier process has heard it. */
  fresh: boolean
}

/** @param onChange Called whenever what is known has changed. */
export function watchSupport(
  watched: readonly WatchedFacilitator[],
  onChange: () => void,
): SupportWatch {
  const said = new Map<GuardedFacilitator, Said>()
  const timers = new Map<GuardedFacilitator, NodeJS.Timeout>()
  let closed = false

  const askAfter = (ms: number, one: WatchedFacilitator, failures: number): void => {
    clearTimeout(timers.get(one.facilitator))
    if (closed) return
    const timer = setTimeout(() => void ask(one, failures), ms)
    timers.set(one.facilitator, timer.unref())
  }

  const ask = async (one: WatchedFacilitator, failures: number): Promise<void> => {
    const { facilitator } = one
    const supported = await facilitator.supported().catch(() => null)
    if (closed) return
    askAfter(nextMs(facilitator, supported, failures), one, supported ? 0 : failures + 1)
    // One that fails a refresh keeps its last answer: what it can do does not change that often.
    if (supported !== null) learn(one, supported)
  }

  const learn = ({ facilitator, memory }: WatchedFacilitator, supported: Supported): void => {
    const before = said.get(facilitator)
    const changed = JSON.stringify(before?.supported) !== JSON.stringify(supported)
    const earlier = before === undefined ? [] : [before.supported, ...before.earlier]
    said.set(facilitator, {
      supported,
      earlier: changed ? earlier.slice(0, EARLIER_MAX) : (before?.earlier ?? []),
      fresh: true,
    })
    memory.remember(supported)
    if (changed) onChange()
  }

  for (const { facilitator, memory } of watched) {
    const supported = memory.recall()
    if (supported !== null) said.set(facilitator, { supported, earlier: [], fresh: false })
  }
  const firstRound = watched.map(one => {
    const isNew = !said.has(one.facilitator)
    const asked = ask(one, 0)
    return isNew ? asked : undefined
  })
  for (const one of watched) {
    // Traffic has found out that it is down: ask when it may be back, not at the next refresh.
    one.facilitator.onChange(() => {
      const condition = one.facilitator.condition()
      if (condition.kind === 'down') askAfter(condition.forMs, one, 0)
    })
  }

  return {
    known: () =>
      watched.flatMap(({ facilitator }) => {
        const known = said.get(facilitator)
        return known === undefined ? [] : [{ facilitator, ...known }]
      }),
    silent: () =>
      watched.map(({ facilitator }) => facilitator).filter(one => !said.get(one)?.fresh),
    firstRound: Promise.all(firstRound).then(() => {}),
    close() {
      closed = true
      for (const timer of timers.values()) clearTimeout(timer)
    },
  }
}

function nextMs(
  facilitator: GuardedFacilitator,
  supported: Supported | null,
  failures: number,
): number {
  const condition = facilitator.condition()
  if (condition.kind !== 'up') return Math.max(RETRY_MS_FIRST, condition.forMs)
  return supported === null ? Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** failures) : REFRESH_MS
}
