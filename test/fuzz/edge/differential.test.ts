import { expect, test } from 'vitest'
import { fuzzEdge } from './differential.ts'

test('whatever bytes come, the upstream sees no request that parsers disagree about', async () => {
  const report = await fuzzEdge(4, 20_260_101)
  // A gateway that refuses everything would pass every check.
  expect(report.runs).toBeGreaterThan(100)
  expect(report.reached).toBeGreaterThan(report.runs / 10)
  expect(report.reached).toBeLessThanOrEqual(report.forwarded)
})
