import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../src/errors.ts'
import type { GuardedFacilitator } from '../../src/facilitator/facilitator.ts'
import { guardFacilitator } from '../../src/facilitator/guarded.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, NETWORK, pay } from '../x402/payments.ts'
import { supportedKinds } from './clients.ts'

const { payload, offer } = await pay(buyer, createOffer())
const payment = [payload, offer.requirements] as const

type Operation = 'verify' | 'settle' | 'supported'
let asked: Operation[]
/** How calls end: at once, or when a test says so. */
let end: (operation: Operation) => Promise<void>
let guarded: GuardedFacilitator
let changes: string[]

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  asked = []
  end = async () => {}
  changes = []
  create(4)
})
afterEach(async () => {
  await guarded.close()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

function create(concurrency: number): void {
  const perform = async <T>(operation: Operation, answer: T): Promise<T> => {
    asked.push(operation)
    await end(operation)
    return answer
  }
  const settled = { success: true, transaction: '0x', network: NETWORK }
  const facilitator = {
    name: 'one',
    supported: () => perform('supported', supportedKinds([2, NETWORK])),
    verify: () => perform('verify', { isValid: true }),
    settle: () => perform('settle', settled),
    close: async () => {},
  }
  guarded = guardFacilitator(facilitator, { concurrency, clock: () => unixMs(Date.now()) })
  guarded.onChange(() => changes.push(guarded.condition().kind))
}

const call = (operation: Operation): Promise<unknown> =>
  operation === 'supported' ? guarded.supported() : guarded[operation](...payment)

/** Undefined when it went well. */
const failureOf = (operation: Operation): Promise<unknown> =>
  call(operation).then(
    () => undefined,
    (error: unknown) => error,
  )

function unavailable(restSeconds: number | null = null): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError('No.', { fix: 'Wait.', restSeconds })
}

function failWith(error: Error): void {
  end = () => Promise.reject(error)
}

describe('a facilitator that fails', () => {
  test('is not asked after three failures, and told of once', async () => {
    failWith(unavailable())
    for (let time = 0; time < 6; time++) await failureOf('verify')
    expect(asked).toHaveLength(3)
    expect(changes).toEqual(['down'])
    expect(await failureOf('settle')).toMatchObject({ retryAfterSeconds: 1 })
    expect(await failureOf('settle')).toBeInstanceOf(FacilitatorUnavailableError)
    expect(asked).toHaveLength(3)
  })

  test.each([
    ['a settle that may have left', new SettlementUnknownError('?', { fix: 'Wait.' })],
    ['a bug', new TypeError('x is not a function')],
  ])('%s counts too, and stays what it is', async (_, error) => {
    failWith(error)
    for (let time = 0; time < 3; time++) expect(await failureOf('settle')).toBe(error)
    expect(guarded.condition().kind).toBe('down')
  })

  test('comes back through a verify, never a settle, once it may be asked', async () => {
    failWith(unavailable())
    for (let time = 0; time < 3; time++) await failureOf('settle')
    end = async () => {}
    vi.advanceTimersByTime(1_000)
    expect(await failureOf('settle')).toBeInstanceOf(FacilitatorUnavailableError)
    expect(await failureOf('verify')).toBeUndefined()
    expect(await failureOf('settle')).toBeUndefined()
    expect(changes).toEqual(['down', 'up'])
    expect(asked).toEqual(['settle', 'settle', 'settle', 'verify', 'settle'])
  })

  test('comes back through /supported, also while nobody pays', async () => {
    failWith(unavailable())
    for (let time = 0; time < 3; time++) await failureOf('supported')
    vi.advanceTimersByTime(1_000)
    end = async () => {}
    await guarded.supported()
    expect(changes).toEqual(['down', 'up'])
  })

  test('refuses nothing because it refuses payments: that is an answer', async () => {
    for (let time = 0; time < 9; time++) await call('verify')
    expect(changes).toEqual([])
  })
})

describe('a facilitator that asks for a rest', () => {
  test('is not asked anything until it has had it', async () => {
    failWith(unavailable(7))
    await failureOf('verify')
    end = async () => {}
    for (const operation of ['supported', 'verify', 'settle'] as const) {
      expect(await failureOf(operation)).toMatchObject({ retryAfterSeconds: 7 })
    }
    vi.advanceTimersByTime(6_001)
    expect(await failureOf('settle')).toMatchObject({ retryAfterSeconds: 1 })
    expect(changes).toEqual(['resting'])
    vi.advanceTimersByTime(999)
    expect(changes).toEqual(['resting', 'up'])
    expect(await failureOf('settle')).toBeUndefined()
    expect(asked).toEqual(['verify', 'settle'])
  })

  test('is told of as up even when the timer is early, as timers are', async () => {
    failWith(unavailable(2))
    await failureOf('verify')
    const due = Date.now() + 2_000
    vi.setSystemTime(Date.now() - 1)
    vi.advanceTimersByTime(2_000)
    expect([Date.now(), changes]).toEqual([due - 1, ['resting']])
    vi.advanceTimersByTime(1)
    expect(changes).toEqual(['resting', 'up'])
  })

  test('is given ten minutes at most', async () => {
    failWith(unavailable(10 ** 9))
    await failureOf('verify')
    expect(guarded.condition()).toEqual({ kind: 'resting', forMs: 600_000 })
  })

  test('may ask again meanwhile, by calls that were on their way; the longest wish counts', async () => {
    const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
    end = () => ends[asked.length - 1]?.promise ?? Promise.resolve()
    const calls = [failureOf('verify'), failureOf('verify')]
    ends[0].reject(unavailable(20))
    ends[1].reject(unavailable(5))
    await Promise.all(calls)
    expect(guarded.condition()).toEqual({ kind: 'resting', forMs: 20_000 })
    expect(changes).toEqual(['resting'])
  })

  test('is not down for it, however often', async () => {
    failWith(unavailable(1))
    for (let time = 0; time < 9; time++) {
      await failureOf('verify')
      vi.advanceTimersByTime(1_000)
    }
    expect(guarded.condition().kind).toBe('up')
    expect(asked).toHaveLength(9)
  })
})

describe('a facilitator that is busy', () => {
  test('is asked no more than it may at once, and nobody waits for a place', async () => {
    const done = Promise.withResolvers<void>()
    end = () => done.promise
    const settles = Array.from({ length: 4 }, () => call('settle'))
    expect(await failureOf('settle')).toMatchObject({ retryAfterSeconds: 1 })
    expect(await failureOf('verify')).toBeInstanceOf(FacilitatorUnavailableError)
    expect(asked).toHaveLength(4)
    done.resolve()
    await Promise.all(settles)
    expect(await failureOf('settle')).toBeUndefined()
    expect(changes).toEqual([])
  })

  test('keeps a quarter of its places for settles, whose requests have been served', async () => {
    const done = Promise.withResolvers<void>()
    end = () => done.promise
    const calls = Array.from({ length: 3 }, () => call('verify'))
    expect(await failureOf('verify')).toBeInstanceOf(FacilitatorUnavailableError)
    calls.push(call('settle'))
    expect(await failureOf('settle')).toBeInstanceOf(FacilitatorUnavailableError)
    done.resolve()
    await Promise.all(calls)
  })

  test('verifies and settles with a single place, one after the other', async () => {
    create(1)
    await call('verify')
    await call('settle')
    expect(asked).toEqual(['verify', 'settle'])
  })

  test('gets its place back after a failure as well', async () => {
    create(1)
    failWith(unavailable(1))
    for (let time = 0; time < 5; time++) {
      await failureOf('settle')
      vi.advanceTimersByTime(1_000)
    }
    expect(asked).toHaveLength(5)
  })
})
