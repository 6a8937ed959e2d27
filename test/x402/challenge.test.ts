import { PaymentRequiredV1Schema, PaymentRequiredV2Schema } from '@x402/core/schemas'
import { declarePaymentIdentifierExtension } from '@x402/extensions/payment-identifier'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChainIdToNetwork, PaymentRequirementsSchema } from 'x402/types'
import type { Offer } from '../../src/core/payment.ts'
import { type ChallengeCache, createChallenge, NOT_PAID } from '../../src/x402/challenge.ts'
import { createOffer, createPermit2Offer, OTHER_TOKEN } from './payments.ts'

const URL_OF_ROUTE = 'https://api.example.com/v1/weather/paris'
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '"',
    '\\',
    '\\"',
    '"}],"accepts":[',
    '\ufdd0url\ufdd0',
    '\ufdd0error\ufdd0',
    '$&',
  ),
)

function challengeOf(
  offers: readonly Offer[],
  resource: { description?: string; mimeType?: string } = {},
  cache: ChallengeCache = new Map(),
) {
  return createChallenge(
    { key: 'GET /v1/weather/{city}', cache, identifierRequired: false, gasSponsoring: [] },
    offers,
    resource,
  )
}

/** Both objects of an answer, as their readers get them. */
function read(answer: { body: Buffer; paymentRequired: string }) {
  const v1 = JSON.parse(answer.body.toString('utf8'))
  const v2 = JSON.parse(Buffer.from(answer.paymentRequired, 'base64').toString('utf8'))
  return { v1, v2 }
}

describe('what official clients read', () => {
  const offers = [
    createOffer(),
    createPermit2Offer({ asset: OTHER_TOKEN, amount: '18446744073709551617' }),
    createOffer({ extra: { name: 'USDC', version: '2', paymentFlow: 'upfront' } }),
  ]
  const resource = { description: 'Weather', mimeType: 'application/json' }
  const { v1, v2 } = read(challengeOf(offers, resource).answer(URL_OF_ROUTE, NOT_PAID))

  test('the body is a v1 object by the official schemas', () => {
    expect(PaymentRequiredV1Schema.parse(v1)).toEqual(v1)
    expect(v1.accepts).toHaveLength(3)
    for (const entry of v1.accepts) expect(PaymentRequirementsSchema.parse(entry)).toEqual(entry)
    expect(v1).toMatchObject({ x402Version: 1, error: 'payment_required' })
    expect(v1.accepts[1]).toEqual({
      scheme: 'exact',
      network: 'base-sepolia',
      maxAmountRequired: '18446744073709551617',
      resource: URL_OF_ROUTE,
      description: 'Weather',
      mimeType: 'application/json',
      payTo: offers[1]?.requirements.payTo,
      maxTimeoutSeconds: 60,
      asset: OTHER_TOKEN,
      extra: { name: 'USDC', version: '2', assetTransferMethod: 'permit2' },
    })
  })

  test('the header is a v2 object by the official schema', () => {
    expect(PaymentRequiredV2Schema.parse(v2)).toEqual(v2)
    expect(v2).toEqual({
      x402Version: 2,
      error: 'payment_required',
      resource: { url: URL_OF_ROUTE, ...resource },
      accepts: offers.map(({ requirements }) => requirements),
      extensions: { 'payment-identifier': declarePaymentIdentifierExtension(false) },
    })
  })

  test('a route without description and type is valid too', () => {
    const bare = read(challengeOf([createOffer()]).answer(URL_OF_ROUTE, NOT_PAID))
    expect(PaymentRequirementsSchema.safeParse(bare.v1.accepts[0]).success).toBe(true)
    expect(PaymentRequiredV2Schema.parse(bare.v2)).toEqual(bare.v2)
    expect(bare.v2.resource).toEqual({ url: URL_OF_ROUTE })
  })
})

describe('networks that the last v1 client does not know', () => {
  const known = createOffer()
  const unknown = createOffer({ network: 'eip155:143', v1Network: 'monad' })
  const unnamed = createOffer({ network: 'eip155:42161', v1Network: null })

  test('are left out of the v1 body and stand in the v2 header', () => {
    const answer = challengeOf([unknown, known, unnamed]).answer(URL_OF_ROUTE, NOT_PAID)
    const { v1, v2 } = read(answer)
    expect(v1.accepts.map(({ network }: { network: string }) => network)).toEqual(['base-sepolia'])
    expect(v2.accepts).toHaveLength(3)
  })

  test('stand in the v1 body where there is nothing else, for readers that are less strict', () => {
    const { v1 } = read(challengeOf([unknown, unnamed]).answer(URL_OF_ROUTE, NOT_PAID))
    expect(PaymentRequiredV1Schema.parse(v1).accepts.map(({ network }) => network)).toEqual([
      'monad',
      'eip155:42161',
    ])
  })

  test('every EVM network that the last v1 client knows is offered to it', () => {
    const names = Object.values(ChainIdToNetwork).filter(name => !name.startsWith('solana'))
    expect(names.length).toBeGreaterThan(10)
    const offers = [unknown, ...names.map(name => createOffer({ v1Network: name }))]
    const { v1 } = read(challengeOf(offers).answer(URL_OF_ROUTE, NOT_PAID))
    expect(v1.accepts.map(({ network }: { network: string }) => network)).toEqual(names)
  })
})

test('a description in any script reads right for Buffer and for atob', () => {
  const description = 'Wetter für Zürich ☀️ 天気 \u0000 "quoted" \ud83c\udf26'
  const { body, paymentRequired } = challengeOf([createOffer()], { description }).answer(
    URL_OF_ROUTE,
    NOT_PAID,
  )
  expect(read({ body, paymentRequired }).v2.resource.description).toBe(description)
  expect(JSON.parse(atob(paymentRequired)).resource.description).toBe(description)
  expect(JSON.parse(body.toString('latin1')).accepts[0].description).toBe(description)
})

test('no URL, error or description can break out of its place', () => {
  fc.assert(
    fc.property(anyText, anyText, fc.string({ unit: 'grapheme' }), (url, error, description) => {
      const challenge = challengeOf([createOffer(), createPermit2Offer()], { description })
      const answer = challenge.answer(url, error)
      expect(answer.paymentRequired).toMatch(/^[A-Za-z0-9+/]+={0,2}$/)
      const { v1, v2 } = read(answer)
      expect(v2.resource).toEqual({ url, description })
      expect([v1.error, v2.error]).toEqual([error, error])
      expect(v1.accepts).toHaveLength(2)
      for (const entry of v1.accepts) expect(entry).toMatchObject({ resource: url, description })
    }),
    { numRuns: 500 },
  )
})

describe('the cache', () => {
  const offers = [createOffer()]

  test('builds the answer of a hot URL once', () => {
    const challenge = challengeOf(offers)
    expect(challenge.answer(URL_OF_ROUTE, NOT_PAID)).toBe(challenge.answer(URL_OF_ROUTE, NOT_PAID))
  })

  test('tells routes and errors apart', () => {
    const cache: ChallengeCache = new Map()
    const cheap = createChallenge(
      { key: 'GET /a', cache, identifierRequired: false, gasSponsoring: [] },
      offers,
      {},
    )
    const dear = createChallenge(
      { key: 'GET /b', cache, identifierRequired: false, gasSponsoring: [] },
      [createOffer({ amount: '9' })],
      {},
    )
    cheap.answer(URL_OF_ROUTE, NOT_PAID)
    expect(read(dear.answer(URL_OF_ROUTE, NOT_PAID)).v2.accepts[0].amount).toBe('9')
    expect(read(cheap.answer(URL_OF_ROUTE, 'insufficient_funds')).v2.error).toBe(
      'insufficient_funds',
    )
    expect(read(cheap.answer(URL_OF_ROUTE, NOT_PAID)).v2.error).toBe(NOT_PAID)
  })

  test('is bounded, whatever URLs callers make up', () => {
    const cache: ChallengeCache = new Map()
    const challenge = challengeOf(offers, {}, cache)
    for (let index = 0; index < 5_000; index++) {
      challenge.answer(`${URL_OF_ROUTE}/${index}`, NOT_PAID)
      challenge.answer(URL_OF_ROUTE, `reason ${index}`)
      challenge.answer(`${URL_OF_ROUTE}/${'x'.repeat(600)}${index}`, NOT_PAID)
      if (cache.size > 2048) break
    }
    expect(cache.size).toBeGreaterThan(0)
    expect(cache.size).toBeLessThanOrEqual(2048)
    expect(Math.max(...[...cache.keys()].map(key => key.length))).toBeLessThan(600)
  })
})
