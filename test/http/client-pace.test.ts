import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ClientPace } from '../../src/http/client-pace.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** 100 bytes a second, and ten seconds to stand still. */
function start() {
  let gaveUp = 0
  const pace = new ClientPace(100, 10_000, () => gaveUp++)
  /** Waits for the client for so long, and for so many bytes. */
  const take = (bytes: number, ms: number): void => {
    pace.waitFor(bytes)
    vi.advanceTimersByTime(ms)
    pace.goOn()
  }
  return { pace, take, gaveUp: () => gaveUp }
}

test('a client that takes nothing is given up when its credit is spent', () => {
  const { pace, gaveUp } = start()
  pace.waitFor(500)
  vi.advanceTimersByTime(14_900)
  expect(gaveUp()).toBe(0)
  vi.advanceTimersByTime(1_500)
  expect(gaveUp()).toBe(1)
  vi.advanceTimersByTime(100_000)
  expect(gaveUp()).toBe(1)
})

test('a client that takes too little on average is given up, however often it takes something', () => {
  const { take, gaveUp } = start()
  let waits = 0
  for (; gaveUp() === 0 && waits < 100; waits++) take(100, 2_000)
  // Each wait costs a second more than it earns.
  expect(waits).toBeGreaterThanOrEqual(9)
  expect(waits).toBeLessThanOrEqual(12)
})

test('a client at the least pace may go on for ever, and one that was slow can make up for it', () => {
  const { take, gaveUp } = start()
  for (let waits = 0; waits < 1_000; waits++) take(100, 990)
  for (let waits = 0; waits < 200; waits++) {
    take(100, 9_000)
    take(1_000, 1_900)
  }
  expect(gaveUp()).toBe(0)
})

test('time in which nobody waits for the client costs it nothing, and earns it nothing', () => {
  const { take, pace, gaveUp } = start()
  take(100, 10_500)
  vi.advanceTimersByTime(1_000_000)
  expect(gaveUp()).toBe(0)
  pace.waitFor(100)
  vi.advanceTimersByTime(4_000)
  expect(gaveUp()).toBe(1)
})

test('after its end nobody is given up, and no timer is left', () => {
  const { pace, gaveUp } = start()
  pace.waitFor(100)
  pace.stop()
  vi.advanceTimersByTime(1_000_000)
  expect(gaveUp()).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})
