import { expect, test } from 'vitest'
import { createSample } from '../../src/observe/sampled-lines.ts'

test('writes ten lines a second of each kind, and says how many it left out', () => {
  let now = 0
  const sample = createSample(() => now)
  const first = Array.from({ length: 1000 }, () => sample('unpaid'))
  expect(first.filter(left => left === 0)).toHaveLength(10)
  expect(sample('address')).toBe(0)
  now = 999
  expect(sample('unpaid')).toBeNull()
  now = 1000
  expect(sample('unpaid')).toBe(991)
  expect(sample('unpaid')).toBe(0)
})
