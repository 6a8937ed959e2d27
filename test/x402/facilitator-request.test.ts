import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  checkFacilitatorRequest,
  decodeFacilitatorRequest,
} from '../../src/x402/facilitator-request.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, NETWORK, paymentOf } from './payments.ts'

const offer = createOffer()
const now = (): number => Math.floor(Date.now() / 1000)
const decode = (value: unknown) => decodeFacilitatorRequest(Buffer.from(JSON.stringify(value)))

async function bodyV2() {
  const paymentPayload = await paymentOf(buyer, offer)
  return { x402Version: 2, paymentPayload, paymentRequirements: offer.requirements }
}

async function bodyV1() {
  const { payload } = await paymentOf(buyer, offer)
  const { amount, ...rest } = offer.requirements
  const network = 'base-sepolia'
  return {
    x402Version: 1,
    paymentPayload: { x402Version: 1, scheme: 'exact', network, payload },
    paymentRequirements: { ...rest, network, maxAmountRequired: amount, resource: 'https://a/b' },
  }
}

test('both versions come to the same payment', async () => {
  const payments = [await bodyV1(), await bodyV2()].map(body => {
    const decoded = decode(body)
    if (decoded.kind !== 'request') throw new Error(decoded.reason)
    return checkFacilitatorRequest(decoded.request, NETWORK, now())
  })
  for (const checked of payments) {
    expect(checked).toMatchObject({
      kind: 'payment',
      payment: { payer: buyer.address, signature: 'recovered', offer: { amount: 1000n } },
    })
  }
})

describe('malformed bodies', () => {
  test.each<[string, string, string]>([
    ['no JSON', '{', 'not-json'],
    ['another version', '{"x402Version": 3}', 'unknown-version'],
    ['a version as text', '{"x402Version": "2"}', 'unknown-version'],
    ['nothing but a version', '{"x402Version": 2}', 'wrong-shape'],
    ['a name twice', '{"x402Version": 2, "x402Version": 1}', 'duplicate-key'],
    ['depth', `${'['.repeat(17)}${']'.repeat(17)}`, 'too-deep'],
  ])('%s', (_, text, reason) => {
    expect(decodeFacilitatorRequest(Buffer.from(text))).toEqual({ kind: 'malformed', reason })
  })

  test('bytes that are not UTF-8', () => {
    const reason = 'not-json'
    const bytes = Buffer.from([0x22, 0xff, 0x22])
    expect(decodeFacilitatorRequest(bytes)).toEqual({ kind: 'malformed', reason })
  })

  test('a payload of one version in a request of the other', async () => {
    const [v1, v2] = [await bodyV1(), await bodyV2()]
    const reason = 'wrong-shape'
    const mixed = [
      { ...v1, x402Version: 2 },
      { ...v1, paymentPayload: v2.paymentPayload },
    ]
    for (const body of mixed) expect(decode(body)).toEqual({ kind: 'malformed', reason })
  })
})

test('requirements that the payment does not meet are refused', async () => {
  const body = await bodyV2()
  const changed = { ...body.paymentRequirements, amount: '999' }
  const decoded = decode({ ...body, paymentRequirements: changed })
  if (decoded.kind !== 'request') throw new Error(decoded.reason)
  expect(checkFacilitatorRequest(decoded.request, NETWORK, now())).toEqual({
    kind: 'refused',
    reason: 'invalid_payment_requirements',
  })
  expect(checkFacilitatorRequest(decoded.request, null, now())).toMatchObject({
    reason: 'invalid_network',
  })
})

test('whatever the bytes, decoding and checking never throw', async () => {
  const bodies = [await bodyV1(), await bodyV2()]
  const bytes = fc.uint8Array({ maxLength: 400 })
  const json = fc.jsonValue().map(value => Buffer.from(JSON.stringify(value)))
  const edited = fc
    .tuple(fc.constantFrom(...bodies), fc.nat(), fc.jsonValue())
    .map(([body, at, value]) => Buffer.from(JSON.stringify(replaceAt(body, at, value))))
  let requests = 0
  fc.assert(
    fc.property(fc.oneof(bytes, json, { weight: 4, arbitrary: edited }), body => {
      const decoded = decodeFacilitatorRequest(body)
      if (decoded.kind === 'malformed') return
      requests++
      checkFacilitatorRequest(decoded.request, NETWORK, now())
    }),
    { numRuns: 2_000 },
  )
  expect(requests).toBeGreaterThan(50)
})

/** The same object with the `at`-th of its values replaced. */
function replaceAt(body: object, at: number, replacement: unknown): unknown {
  let count = 0
  JSON.stringify(body, (_, value) => {
    count++
    return value
  })
  let index = 0
  return JSON.parse(
    JSON.stringify(body, (_, value) => (index++ === at % count ? replacement : value)),
  )
}
