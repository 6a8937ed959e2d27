import type { Clock } from '../core/time.ts'

export type Operation = 'verify' | 'settle' | 'supported'

/**
 * Keeps calls from a facilitator that fails. It opens after a few failures in a row; after a while
 * it is half-open, and one call may find out whether the facilitator is back. That call is never a
 * settle: a payment is nothing to find out with.
 */
export interface CircuitBreaker {
  /** Whether a call may go out. Each that may is followed by `succeeded` or `failed`. */
  admit(operation: Operation): boolean
  succeeded(operation: Operation): void
  failed(operation: Operation): void
  /** False from when it opens until a call has succeeded. */
  readonly closed: boolean
  /** Milliseconds until it is half-open. */
  waitMs(): number
}

const FAILURES_MAX = 3
const OPEN_MS_FIRST = 1_000
const OPEN_MS_MAX = 30_000

/**
 * Whose failures a success makes up for. Many a broken facilitator still says what it supports, and
 * one that cannot settle any more may verify as before.
 */
const PROVES: Readonly<Record<Operation, readonly Operation[]>> = {
  supported: ['supported'],
  verify: ['verify', 'supported'],
  settle: ['settle', 'verify', 'supported'],
}

/** @param clock Of the waits: nothing here sets a timer. */
export function createCircuitBreaker(clock: Clock): CircuitBreaker {
  const failures: Record<Operation, number> = { verify: 0, settle: 0, supported: 0 }
  let openedAt: number | null = null
  let openMs = 0
  let nextMs = OPEN_MS_FIRST
  let probing = false

  const waitMs = (): number => (openedAt === null ? 0 : Math.max(0, openedAt + openMs - clock()))

  const open = (): void => {
    openedAt = clock()
    openMs = nextMs
    nextMs = Math.min(OPEN_MS_MAX, nextMs * 2)
  }

  return {
    admit(operation) {
      if (openedAt === null || operation === 'supported') return true
      if (operation === 'settle' || probing || waitMs() > 0) return false
      probing = true
      return true
    },
    succeeded(operation) {
      // The late answer to a call from before it opened says nothing new.
      if (waitMs() > 0) return
      for (const proven of PROVES[operation]) failures[proven] = 0
      // What still has its failures is on trial: the next one opens again, for longer.
      if (failures.verify + failures.settle + failures.supported === 0) nextMs = OPEN_MS_FIRST
      openedAt = null
      probing = false
    },
    failed(operation) {
      if (waitMs() > 0) return
      failures[operation]++
      if (openedAt !== null || failures[operation] >= FAILURES_MAX) open()
      probing = false
    },
    get closed() {
      return openedAt === null
    },
    waitMs,
  }
}
