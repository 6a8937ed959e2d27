import type { Clock } from '../core/time.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../errors.ts'
import { createCircuitBreaker, type Operation } from './circuit-breaker.ts'
import type { Facilitator, FacilitatorCondition, GuardedFacilitator } from './facilitator.ts'
import { createPlaces } from './places.ts'

export interface GuardOptions {
  /** Calls at once, at most. */
  readonly concurrency: number
  readonly clock: Clock
}

/** A quota that is used up for today is asked about every few minutes. */
const REST_MS_MAX = 10 * 60_000

/**
 * Refuses calls at once, with `FacilitatorUnavailableError`, while a facilitator fails, rests as it
 * asked to, or has as many calls as it may. Such a call was not sent to anybody.
 */
export function guardFacilitator(
  facilitator: Facilitator,
  { concurrency, clock }: GuardOptions,
): GuardedFacilitator {
  const breaker = createCircuitBreaker(clock)
  const places = createPlaces(concurrency)
  const listeners: (() => void)[] = []
  let restsUntil = 0
  let waking: NodeJS.Timeout | undefined
  let told: FacilitatorCondition['kind'] = 'up'

  const condition = (): FacilitatorCondition => {
    const restMs = restsUntil - clock()
    if (restMs > 0) return { kind: 'resting', forMs: restMs }
    return breaker.closed ? { kind: 'up' } : { kind: 'down', forMs: breaker.waitMs() }
  }

  const tellChange = (): void => {
    const { kind } = condition()
    if (kind === told) return
    told = kind
    for (const listener of listeners) listener()
  }

  const rest = (milliseconds: number): void => {
    const restMs = Math.min(milliseconds, REST_MS_MAX)
    restsUntil = Math.max(restsUntil, clock() + restMs)
    wakeAfterRest()
  }

  const wakeAfterRest = (): void => {
    clearTimeout(waking)
    const restMs = restsUntil - clock()
    // A timer may be a millisecond early: then there is a rest of the rest.
    if (restMs > 0) waking = setTimeout(wakeAfterRest, restMs).unref()
    else tellChange()
  }

  const learnFrom = (error: unknown, operation: Operation): void => {
    const restSeconds = isOurs(error) ? error.restSeconds : null
    if (restSeconds === null) {
      breaker.failed(operation)
      return
    }
    // Whoever can ask for a rest is there.
    breaker.succeeded(operation)
    rest(restSeconds * 1000)
  }

  const call = async <T>(operation: Operation, ask: () => Promise<T>): Promise<T> => {
    const { name } = facilitator
    const now = condition()
    if (now.kind === 'resting') throw refused(name, 'rests, as it asked to', now.forMs)
    if (!places.take(operation)) throw refused(name, 'has as many calls as it may', 0)
    try {
      if (!breaker.admit(operation)) throw refused(name, 'is down', breaker.waitMs())
      const answer = await ask().catch((error: unknown) => {
        learnFrom(error, operation)
        throw error
      })
      breaker.succeeded(operation)
      return answer
    } finally {
      places.free(operation)
      tellChange()
    }
  }

  return {
    name: facilitator.name,
    supported: () => call('supported', () => facilitator.supported()),
    verify: (...payment) => call('verify', () => facilitator.verify(...payment)),
    settle: (...payment) => call('settle', () => facilitator.settle(...payment)),
    condition,
    onChange: listener => void listeners.push(listener),
    close() {
      clearTimeout(waking)
      return facilitator.close()
    },
  }
}

function isOurs(error: unknown): error is FacilitatorUnavailableError | SettlementUnknownError {
  return error instanceof FacilitatorUnavailableError || error instanceof SettlementUnknownError
}

function refused(name: string, why: string, waitMs: number): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError(`Facilitator ${name} was not asked: it ${why}.`, {
    fix: 'Name a second facilitator in the configuration, or raise its concurrency if it is full.',
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  })
}
