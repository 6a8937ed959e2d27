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
const HELD_MS_MIN = 1000
/**
 * To all senders together: the more are held, the longer each. To refuse so many takes about a
 * twentieth of a core.
 */
const ANSWERS_PER_SECOND = 250
/** Each holds a connection or a stream that is open anyway. Beyond it, nobody waits. */
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
      await until(timer, Math.max(HELD_MS_MIN, (held / ANSWERS_PER_SECOND) * 1000), exchange)
      held--
      return reply
    },
  }
}

function until(
  timer: Timer,
  milliseconds: number,
  exchange: Pick<Exchange, 'onClientGone'>,
): Promise<void> {
  return new Promise(resolve => {
    const stopTimer = timer(() => {
      stopListening()
      resolve()
    }, milliseconds)
    const stopListening = exchange.onClientGone(() => {
      stopTimer()
      resolve()
    })
  })
}
