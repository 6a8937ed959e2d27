import type { Clock } from '../core/time.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { GatewayObserver } from '../observe/events.ts'

/**
 * Whether the store takes writes, as far as requests have found out. A disk that is full or locked
 * still answers whoever only reads, so asking it for numbers proves nothing.
 */
export interface StoreHealth {
  readonly observer: Pick<GatewayObserver, 'requestFinished' | 'errorReported'>
  /** What the store said when it last refused; null once it has written since, or lately not. */
  trouble(): StoreUnavailableError | null
}

/**
 * Afterwards it gets another chance: where nobody sends us requests while we are not ready, nobody
 * would find out that the store is well again.
 */
const DISTRUST_MS = 10_000

export function createStoreHealth(clock: Clock): StoreHealth {
  let last: { readonly error: StoreUnavailableError; readonly at: number } | null = null
  return {
    observer: {
      requestFinished({ outcome, durationMs }) {
        const beganAt = clock() - durationMs
        if (outcome === 'paid' && last !== null && last.at < beganAt) last = null
      },
      errorReported({ error }) {
        if (error instanceof StoreUnavailableError) last = { error, at: clock() }
      },
    },
    trouble() {
      if (last === null || Math.abs(clock() - last.at) > DISTRUST_MS) return null
      return last.error
    },
  }
}
