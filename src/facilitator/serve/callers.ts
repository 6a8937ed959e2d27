import { createHash, timingSafeEqual } from 'node:crypto'
import { amountName, type CallerKeyConfig } from '../../config/facilitator-service-config.ts'
import { readBearer } from '../../core/bearer.ts'
import type { Payment } from '../../core/payment.ts'

export type Admission =
  | { readonly kind: 'admitted'; leave(): void }
  | { readonly kind: 'refused'; readonly retryAfterSeconds: number }

/** Somebody whose key is known. */
export interface Caller {
  readonly name: string
  /** Counts a request in; each that was admitted has to leave. */
  admit(): Admission
  /** Whether a payment is within what the key may move. */
  mayMove(payment: Payment): boolean
}

/** Those who may ask. */
export interface Callers {
  /**
   * @param authorization Values of the request's Authorization header.
   * @returns Null: no key, or one that nobody has.
   */
  find(authorization: readonly string[]): Caller | null
}

const AUTHORIZATION_CHARACTERS_MAX = 520

/** @param now Milliseconds on a clock that only goes forward. */
export function createCallers(
  keys: readonly CallerKeyConfig[],
  now: () => number = () => performance.now(),
): Callers {
  const known = keys.map(config => ({
    digest: Buffer.from(config.sha256, 'hex'),
    caller: createCaller(config, now),
  }))
  return {
    find(authorization) {
      const key = readBearer(authorization, AUTHORIZATION_CHARACTERS_MAX)
      if (key === null) return null
      const digest = createHash('sha256').update(key).digest()
      let found: Caller | null = null
      // All of them, so that the time tells nothing of which is there.
      for (const one of known) if (timingSafeEqual(one.digest, digest)) found = one.caller
      return found
    },
  }
}

const MINUTE_MS = 60_000

function createCaller(config: CallerKeyConfig, now: () => number): Caller {
  const { name, perMinute, concurrency, amountsMax } = config
  const msPerRequest = MINUTE_MS / perMinute
  /** When all that was admitted would have come, had it come evenly. */
  let busyUntil = Number.NEGATIVE_INFINITY
  let running = 0
  return {
    name,
    admit() {
      const at = now()
      const next = Math.max(busyUntil, at) + msPerRequest
      // A minute's worth may come at once.
      const tooEarlyMs = next - at - MINUTE_MS
      if (tooEarlyMs > 0) {
        return { kind: 'refused', retryAfterSeconds: Math.ceil(tooEarlyMs / 1000) }
      }
      if (running >= concurrency) return { kind: 'refused', retryAfterSeconds: 1 }
      busyUntil = next
      running++
      return { kind: 'admitted', leave: () => void running-- }
    },
    mayMove({ offer: { requirements, amount } }) {
      if (amountsMax === null) return true
      const most = amountsMax.get(amountName(requirements.network, requirements.asset))
      return most !== undefined && amount <= most
    },
  }
}
