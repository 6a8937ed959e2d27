import type { Timer } from '../core/time.ts'
import type { Exchange, Reply } from './exchange.ts'

/** Answers whoever sends junk without a break only after a while. */
export interface HoldBack {
  wait(reply: Reply, exchange: Pick<Exchange, 'onClientGone'>): Promise<Reply>
}

/**
 * A sender that waits for answers before it sends on sends that much less: with 64 connections 64
 * requests a second, where it could have kept us busy with thousands.
 */
const HELD_MS = 1000
/** Each holds a connection that is open anyway, and about a kilobyte. Beyond it, nobody waits. */
const HELD_MAX = 10_000

const timeout: Timer = (callback, milliseconds) => {
  const timer = setTimeout(callback, milliseconds).unref()
  return () => clearTimeout(timer)
}

export function createHoldBack(timer: Timer = timeout, heldMax: number = HELD_MAX): HoldBack {
  let held = 0
  return {
    async wait(reply, exchange) {
      if (held >= heldMax) return reply
      held++
      await new Promise<void>(resolve => {
        const stopTimer = timer(resolve, HELD_MS)
        exchange.onClientGone(() => {
          stopTimer()
          resolve()
        })
      })
      held--
      return reply
    },
  }
}
