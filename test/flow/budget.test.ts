import { expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { createBudget } from '../../src/flow/budget.ts'

function budgetWithClock(rate: { perSecond: number; burst: number }) {
  let now = 1_800_000_000_000
  const budget = createBudget(() => unixMs(now), rate)
  /** How many are allowed right now. */
  const spend = () => {
    let allowed = 0
    while (allowed < 1000 && budget.take()) allowed += 1
    return allowed
  }
  return {
    spend,
    take: () => budget.take(),
    waitMs: () => budget.waitMs(),
    wait: (ms: number) => {
      now += ms
    },
  }
}

test('allows a burst at once, then nothing', () => {
  const { spend } = budgetWithClock({ perSecond: 2, burst: 5 })
  expect(spend()).toBe(5)
  expect(spend()).toBe(0)
})

test('saves up again at its rate, to the burst and no further', () => {
  const { spend, wait } = budgetWithClock({ perSecond: 2, burst: 5 })
  spend()
  wait(499)
  expect(spend()).toBe(0)
  wait(1)
  expect(spend()).toBe(1)
  wait(1500)
  expect(spend()).toBe(3)
  wait(3_600_000)
  expect(spend()).toBe(5)
})

test('being refused costs nothing', () => {
  const { spend, take, wait } = budgetWithClock({ perSecond: 1, burst: 1 })
  spend()
  for (let tried = 0; tried < 100; tried++) {
    wait(9)
    expect(take()).toBe(false)
  }
  wait(101)
  expect(take()).toBe(true)
})

test.each([0.3, 2, 700])('says how long it takes to save up one, at %d a second', perSecond => {
  const { spend, take, wait, waitMs } = budgetWithClock({ perSecond, burst: 5 })
  expect(waitMs()).toBe(0)
  spend()
  const whole = waitMs()
  expect(whole).toBe(Math.ceil(1000 / perSecond))
  wait(whole - 1)
  expect(take()).toBe(false)
  wait(waitMs())
  expect(take()).toBe(true)
})

test('a clock that is set back closes nobody out', () => {
  const { spend, wait } = budgetWithClock({ perSecond: 2, burst: 5 })
  spend()
  wait(-3_600_000)
  expect(spend()).toBe(0)
  wait(1000)
  expect(spend()).toBe(2)
})
