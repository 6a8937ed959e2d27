import { describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { createQuotes, type Quotes } from '../../src/flow/quotes.ts'
import { createOffer } from '../x402/payments.ts'

const start = 1_800_000_000_000
const at = (seconds: number) => unixMs(start + seconds * 1000)
const cheap = createOffer({ amount: '1000', maxTimeoutSeconds: 60 })
const dear = createOffer({ amount: '2000', maxTimeoutSeconds: 300 })

/** Amounts that a payment may be for. */
const amounts = (quotes: Quotes, seconds: number) =>
  quotes.offersAt(at(seconds)).map(({ requirements }) => requirements.amount)

test('a new route honours what it asks for, at any time', () => {
  const quotes = createQuotes([cheap, dear], null, at(0))
  expect(amounts(quotes, 0)).toEqual(['1000', '2000'])
  expect(amounts(quotes, 1e6)).toEqual(['1000', '2000'])
})

test('a price quoted just before a reload is honoured for its maxTimeoutSeconds', () => {
  const before = createQuotes([cheap], null, at(-1e6))
  const after = createQuotes([dear], before, at(0))
  expect(amounts(after, 0)).toEqual(['2000', '1000'])
  expect(amounts(after, 59.999)).toEqual(['2000', '1000'])
  expect(amounts(after, 60)).toEqual(['2000'])
})

test("today's offers come first, so that a payment of today is matched with them", () => {
  const before = createQuotes([cheap, dear], null, at(0))
  const after = createQuotes([createOffer({ amount: '3000' })], before, at(0))
  expect(amounts(after, 1)).toEqual(['3000', '1000', '2000'])
  // Each quote has its own end.
  expect(amounts(after, 61)).toEqual(['3000', '2000'])
  expect(amounts(after, 301)).toEqual(['3000'])
})

test('a second reload does not lengthen what the first has ended', () => {
  const first = createQuotes([cheap], null, at(0))
  const second = createQuotes([dear], first, at(0))
  const third = createQuotes([createOffer({ amount: '3000' })], second, at(30))
  expect(amounts(third, 59)).toEqual(['3000', '2000', '1000'])
  expect(amounts(third, 60)).toEqual(['3000', '2000'])
  expect(amounts(third, 330)).toEqual(['3000'])
})

test('a price that comes back is asked for once and has no end', () => {
  const first = createQuotes([cheap], null, at(0))
  const second = createQuotes([dear], first, at(0))
  const third = createQuotes([cheap], second, at(10))
  expect(amounts(third, 11)).toEqual(['1000', '2000'])
  expect(amounts(third, 1e6)).toEqual(['1000'])
})

test('a reload that changes nothing keeps nothing', () => {
  const first = createQuotes([cheap], null, at(0))
  const second = createQuotes([createOffer({ maxTimeoutSeconds: 60 })], first, at(0))
  expect(amounts(second, 1)).toEqual(['1000'])
})

describe('an offer is another one with', () => {
  test.each([
    ['another scheme', { scheme: 'upto' }],
    ['another network', { network: 'eip155:1' as const }],
    ['another receiver', { payTo: '0x0000000000000000000000000000000000000001' }],
    ['another token', { asset: '0x0000000000000000000000000000000000000001' }],
    ['another signing domain', { extra: { name: 'USD Coin', version: '2' } }],
  ])('%s', (_, change) => {
    const after = createQuotes([createOffer(change)], createQuotes([cheap], null, at(0)), at(0))
    expect(after.offersAt(at(1))).toHaveLength(2)
  })
})

test('reloads in quick succession pile up a bounded number, and the latest are kept', () => {
  let quotes: Quotes | null = null
  for (let amount = 1; amount <= 1000; amount++) {
    quotes = createQuotes([createOffer({ amount: String(amount) })], quotes, at(0))
  }
  const honoured = amounts(quotes as Quotes, 1) // the loop ran
  expect(honoured).toHaveLength(33)
  expect(honoured.slice(0, 3)).toEqual(['1000', '999', '998'])
})
