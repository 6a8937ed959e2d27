import { expect, test } from 'vitest'
import { createPaces } from '../../src/flow/resolver-pace.ts'
import { claimId, type UnresolvedClaim } from '../../src/ledger/ledger.ts'

const claim = (row: number): UnresolvedClaim =>
  ({ id: claimId(row), transaction: null }) as UnresolvedClaim // all that is looked at
const HOUR_MS = 3_600_000

test('a claim that is taken again and again keeps its pace, however many others come and go', () => {
  const paces = createPaces(() => 0)
  paces.of(claim(0), 0).note(4 * HOUR_MS, false)
  for (let row = 1; row <= 30_000; row++) {
    paces.of(claim(row), 4 * HOUR_MS)
    if (row % 1_000 === 0) expect(paces.of(claim(0), 4 * HOUR_MS).dueAt()).toBe(5 * HOUR_MS)
  }
})

test('a claim that is taken no more is forgotten in time, and begins anew', () => {
  const paces = createPaces(() => 0)
  paces.of(claim(0), 0).note(4 * HOUR_MS, false)
  for (let row = 1; row <= 20_000; row++) paces.of(claim(row), 4 * HOUR_MS)
  expect(paces.of(claim(0), 4 * HOUR_MS).dueAt()).toBe(4 * HOUR_MS)
})

test('a claim that has come to its end begins anew at once', () => {
  const paces = createPaces(() => 0)
  paces.of(claim(0), 0).note(4 * HOUR_MS, false)
  paces.forget(claimId(0))
  expect(paces.of(claim(0), 4 * HOUR_MS).dueAt()).toBe(4 * HOUR_MS)
})
