import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAmount } from '../../src/core/amount.ts'
import { type PricedAsset, readPrice, type WrittenPrice } from '../../src/pricing/price.ts'

const USDC: PricedAsset = { symbol: 'USDC', decimals: 6, dollarPegged: true }
const PING: PricedAsset = { symbol: 'PING', decimals: 18, dollarPegged: false }

function amountOf(written: WrittenPrice, asset: PricedAsset) {
  const price = readPrice(written)
  return price.kind === 'paid' ? price.amountIn(asset) : price
}

describe('dollars', () => {
  it.each([
    ['$0.001', 1000n],
    ['$1', 1_000_000n],
    ['$0.01', 10_000n],
    ['$0.0010', 1000n],
    ['$0.0000010', 1n],
  ])('%s is %s millionths', (written, atomic) => {
    expect(amountOf(written, USDC)).toEqual({ kind: 'amount', atomic })
  })

  it.each(['$', '$.5', '$1.', '$1,000', '$1e3', '$-1', '$ 1', '$0x1', '$NaN', '$1 ', '$$1', '$１'])(
    'refuses %j',
    written => {
      expect(readPrice(written)).toMatchObject({ message: 'is not a price in dollars' })
    },
  )

  it('refuses what the token cannot carry, and never rounds', () => {
    expect(amountOf('$0.0000001', USDC)).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('finer'),
    })
    expect(amountOf('$1.9999999', USDC)).toMatchObject({ kind: 'refused' })
  })

  it('refuses a token that is not pegged to the dollar', () => {
    expect(amountOf('$1', PING)).toMatchObject({ cure: expect.stringContaining('{PING: ') })
  })

  it('reads back every amount that it can write', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 30n - 1n }), fc.nat(18), (atomic, decimals) => {
        const asset = { ...USDC, decimals }
        expect(amountOf(`$${formatAmount(atomic, decimals)}`, asset)).toEqual({
          kind: 'amount',
          atomic,
        })
      }),
    )
  })
})

describe('free', () => {
  it('is said in a word', () => {
    expect(readPrice('free')).toEqual({ kind: 'free' })
  })

  it.each(['$0', '$0.000', '0', '0.0', { USDC: '0' }])('is not what %j means', written => {
    expect(readPrice(written)).toMatchObject({ kind: 'refused', message: 'is a price of zero' })
  })

  it.each(['Free', 'FREE', ' free', ''])('is not spelled %j', written => {
    expect(readPrice(written)).toMatchObject({ kind: 'refused' })
  })
})

describe('amounts of tokens', () => {
  it('are whole tokens, for each token its own', () => {
    const price = { USDC: '0.001', PING: '2.5' }
    expect(amountOf(price, USDC)).toEqual({ kind: 'amount', atomic: 1000n })
    expect(amountOf(price, PING)).toEqual({ kind: 'amount', atomic: 25n * 10n ** 17n })
  })

  it('refuse a token that they do not name', () => {
    expect(amountOf({ USDC: '1' }, PING)).toMatchObject({
      cure: expect.stringContaining('Add PING'),
    })
    expect(amountOf({ USDC: '1' }, { ...PING, symbol: 'toString' })).toMatchObject({
      kind: 'refused',
    })
  })

  it.each([{}, { USDC: '$1' }, { USDC: '' }, { USDC: '1e3' }])('refuse %j', written => {
    expect(readPrice(written)).toMatchObject({ kind: 'refused' })
  })
})

it('tells a bare number how to become dollars', () => {
  expect(readPrice('0.001')).toMatchObject({
    message: 'has no currency',
    cure: 'Write $0.001 for US dollars.',
  })
})

it('answers any text, and is never free or for nothing by accident', () => {
  const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^\$?[0-9.,eE+-]{0,12}$/))
  fc.assert(
    fc.property(
      texts.filter(text => text !== 'free'),
      text => {
        const amount = amountOf(text, USDC)
        if (amount.kind === 'amount') expect(amount.atomic > 0n).toBe(true)
        else expect(amount.kind).toBe('refused')
      },
    ),
    { numRuns: 1000 },
  )
})
