import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { createRateCounters, type SharedCounters } from '../../src/flow/rate-counters.ts'
import { quickest } from '../support/quickest.ts'

function countersWithClock(options: { countersMax?: number; shared?: SharedCounters } = {}) {
  let now = 1_800_000_000_000
  const counters = createRateCounters({ clock: () => unixMs(now), ...options })
  return {
    counters,
    wait: (ms: number) => {
      now += ms
    },
  }
}

const rate = (requests: number, perMs = 60_000, id = 'r') => ({ id, requests, perMs })

describe('a rate', () => {
  test('counts to its limit, says when the window ends, and begins anew then', () => {
    const { counters, wait } = countersWithClock()
    expect(counters.add(rate(2), 'a')).toEqual({ count: 1, resetMs: 60_000 })
    wait(20_000)
    expect(counters.add(rate(2), 'a')).toEqual({ count: 2, resetMs: 40_000 })
    expect(counters.add(rate(2), 'a')).toEqual({ count: 3, resetMs: 40_000 })
    // What is refused is not counted on and on.
    expect(counters.add(rate(2), 'a')).toEqual({ count: 3, resetMs: 40_000 })
    expect(counters.add(rate(2), 'b')).toEqual({ count: 1, resetMs: 60_000 })
    wait(40_000)
    expect(counters.look(rate(2), 'a')).toEqual({ count: 0, resetMs: 0 })
    expect(counters.add(rate(2), 'a')).toEqual({ count: 1, resetMs: 60_000 })
  })

  test('closes nobody out for longer than a window when the clock is set back', () => {
    const { counters, wait } = countersWithClock()
    for (let asked = 0; asked < 5; asked++) counters.add(rate(2), 'a')
    wait(-3_600_000)
    expect(counters.add(rate(2), 'a').count).toBe(1)
  })

  test('keeps its counts when its numbers change, unless its window does', () => {
    const { counters } = countersWithClock()
    for (let asked = 0; asked < 5; asked++) counters.add(rate(10), 'a')
    expect(counters.add(rate(3), 'a').count).toBe(6)
    expect(counters.add(rate(3, 1000), 'a').count).toBe(1)
    expect(counters.size).toBe(1)
  })

  test('never lets more than its number pass in a window of its own, nor twice that in any', () => {
    const steps = fc.array(
      fc.record({ subject: fc.constantFrom('a', 'b', 'c'), waitMs: fc.nat(40_000) }),
      { maxLength: 300 },
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), steps, (requests, all) => {
        const { counters, wait } = countersWithClock()
        const passed = new Map<string, number[]>()
        let now = 0
        for (const { subject, waitMs } of all) {
          wait(waitMs)
          now += waitMs
          const { count, resetMs } = counters.add(rate(requests), subject)
          expect(resetMs).toBeGreaterThan(0)
          expect(resetMs).toBeLessThanOrEqual(60_000)
          if (count <= requests) passed.set(subject, [...(passed.get(subject) ?? []), now])
        }
        for (const times of passed.values()) {
          for (const start of times) {
            const within = times.filter(time => start <= time && time < start + 60_000)
            expect(within.length).toBeLessThanOrEqual(2 * requests)
          }
        }
      }),
    )
  })
})

describe('a million addresses', () => {
  test('take no more room than is given to them', () => {
    const { counters } = countersWithClock({ countersMax: 1000 })
    for (let address = 0; address < 50_000; address++) counters.add(rate(100), `a${address}`)
    expect(counters.size).toBeLessThanOrEqual(1000)
    expect(counters.size).toBeGreaterThan(200)
  })

  test('do not make a used-up counter forgotten before as many are used up', () => {
    const { counters } = countersWithClock({ countersMax: 1000 })
    for (let asked = 0; asked < 4; asked++) counters.add(rate(3), 'attacker')
    for (let address = 0; address < 50_000; address++) counters.add(rate(3), `a${address}`)
    expect(counters.add(rate(3), 'attacker').count).toBe(4)
  })

  test('do not crowd out the counters of another limit', () => {
    const { counters } = countersWithClock({ countersMax: 1000 })
    for (let payer = 0; payer < 100; payer++) counters.add(rate(50, 60_000, 'payers'), `p${payer}`)
    for (let address = 0; address < 50_000; address++) counters.add(rate(100), `a${address}`)
    for (let payer = 0; payer < 100; payer++) {
      expect(counters.look(rate(50, 60_000, 'payers'), `p${payer}`).count).toBe(1)
    }
  })

  test('are forgotten when their windows have ended', () => {
    const { counters, wait } = countersWithClock()
    for (let minute = 0; minute < 10; minute++) {
      for (let address = 0; address < 1000; address++) counters.add(rate(9), `${minute}-${address}`)
      wait(60_000)
    }
    expect(counters.size).toBeLessThanOrEqual(2000)
  })

  test('cost no more than one each', () => {
    const addresses = Array.from({ length: 200_000 }, (_, address) => `a${address}`)
    const kept = quickest(3, () => {
      const counts = new Map<string, number>()
      for (const address of addresses) counts.set(address, 1)
    })
    const counted = quickest(3, () => {
      const { counters } = countersWithClock({ countersMax: 100_000 })
      for (const address of addresses) counters.add(rate(100), address)
    })
    // Giving up the oldest of a Map for each new one made it hundreds.
    expect(counted / kept).toBeLessThan(40)
  })

  test('stay within the bound whatever comes', () => {
    const step = fc.record({
      id: fc.constantFrom('x', 'y', 'z'),
      subject: fc.nat(60),
      waitMs: fc.nat(500),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 500 }), steps => {
        const { counters, wait } = countersWithClock({ countersMax: 20 })
        for (const { id, subject, waitMs } of steps) {
          wait(waitMs)
          counters.add(rate(3, id === 'x' ? 1000 : 5000, id), String(subject))
          expect(counters.size).toBeLessThanOrEqual(20)
        }
      }),
    )
  })
})

describe('counts that are shared', () => {
  test('are told at each twentieth, and what the others counted is added', async () => {
    const told: number[] = []
    const shared: SharedCounters = {
      async add(_key, count) {
        told.push(count)
        return { count: 90, resetMs: 10_000 }
      },
    }
    const { counters } = countersWithClock({ shared })
    for (let asked = 0; asked < 4; asked++) counters.add(rate(100), 'a')
    expect(told).toEqual([])
    counters.add(rate(100), 'a')
    expect(told).toEqual([5])
    await expect.poll(() => counters.look(rate(100), 'a')).toEqual({ count: 90, resetMs: 10_000 })
    expect(counters.add(rate(100), 'a').count).toBe(91)
  })

  test('go on alone while the store is away, and are told afterwards', async () => {
    const told: number[] = []
    const away = Promise.reject<never>(new Error('away'))
    away.catch(() => undefined)
    const shared: SharedCounters = {
      add(_key, count) {
        told.push(count)
        return told.length === 1 ? away : Promise.resolve({ count, resetMs: 1000 })
      },
    }
    const { counters } = countersWithClock({ shared })
    for (let asked = 0; asked < 5; asked++) counters.add(rate(100), 'a')
    await away.catch(() => undefined)
    const toldAfterOneMore = (): number => {
      counters.add(rate(100), 'a')
      return told.length
    }
    await expect.poll(toldAfterOneMore).toBe(2)
    expect(told[1]).toBeGreaterThan(5)
  })
})
