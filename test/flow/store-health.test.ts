import { beforeEach, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createStoreHealth, type StoreHealth } from '../../src/flow/store-health.ts'
import type { RequestFinished } from '../../src/observe/events.ts'

const refusal = new StoreUnavailableError('The disk is full.', { fix: 'Free space.' })

let now: number
let health: StoreHealth
beforeEach(() => {
  now = 1_000_000
  health = createStoreHealth(() => unixMs(now))
})

const refuse = (error: unknown = refusal): void =>
  health.observer.errorReported({ error, requestId: null })

function finish(outcome: string, durationMs: number): void {
  const request: RequestFinished = {
    ...{ requestId: 'a', route: null, method: 'GET', status: 200, clientAddress: '::1' },
    ...{ outcome, durationMs },
  }
  health.observer.requestFinished(request)
}

test('nothing is wrong until the store refuses something', () => {
  refuse(new Error('something else'))
  expect(health.trouble()).toBeNull()
  refuse()
  expect(health.trouble()).toBe(refusal)
})

test('a payment that was written afterwards ends the trouble; one that began before does not', () => {
  refuse()
  now += 100
  finish('paid', 150)
  finish('free', 10)
  finish('store_unavailable', 10)
  expect(health.trouble()).toBe(refusal)
  finish('paid', 10)
  expect(health.trouble()).toBeNull()
})

test('without requests it gets another chance after ten seconds, whatever the clock does', () => {
  refuse()
  now += 10_000
  expect(health.trouble()).toBe(refusal)
  now += 1
  expect(health.trouble()).toBeNull()
  refuse()
  now -= 86_400_000
  expect(health.trouble()).toBeNull()
})
