import { describe, expect, test } from 'vitest'
import { isFlat, type Sample, trendOf } from './flatness.ts'

const TOLERANCE = { share: 0.05, slack: 4 }

function samples(valueAt: (seconds: number) => number): Sample[] {
  return Array.from({ length: 100 }, (_, index) => {
    const seconds = index * 5
    return { seconds, value: valueAt(seconds) }
  })
}

describe('a soak calls it flat', () => {
  test.each<[string, (seconds: number) => number]>([
    ['what does not change', () => 100],
    ['what goes up and down', seconds => 100 + (seconds % 30)],
    ['what grows only while it warms up', seconds => Math.min(seconds, 60)],
    ['what shrinks', seconds => 1_000 - seconds],
    ['a single outlier', seconds => (seconds === 300 ? 10_000 : 100)],
  ])('%s', (_name, valueAt) => {
    expect(isFlat(trendOf(samples(valueAt), 60), TOLERANCE)).toBe(true)
  })
})

describe('a soak calls it growth', () => {
  test.each<[string, (seconds: number) => number]>([
    ['a leak, also under noise', seconds => 100 + seconds / 10 + (seconds % 15)],
    ['a step that stays', seconds => (seconds > 250 ? 120 : 100)],
  ])('%s', (_name, valueAt) => {
    expect(isFlat(trendOf(samples(valueAt), 60), TOLERANCE)).toBe(false)
  })
})

test('the slope is by minute', () => {
  expect(
    trendOf(
      samples(seconds => seconds),
      60,
    ).perMinute,
  ).toBeCloseTo(60)
})

test('too few samples say nothing', () => {
  expect(() => trendOf(samples(() => 1).slice(0, 15), 60)).toThrow(RangeError)
})
