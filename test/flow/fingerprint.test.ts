import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Payment } from '../../src/core/payment.ts'
import type { ReadBody } from '../../src/flow/exchange.ts'
import { fingerprintRequest, paymentId } from '../../src/flow/fingerprint.ts'
import { buyer } from '../support/accounts.ts'
import { check, createOffer, pay, signV2 } from '../x402/payments.ts'

const offer = createOffer()
const payment = await pay(buyer, offer)
const request = {
  method: 'POST',
  origin: 'https://api.example.com',
  target: '/v1/report?city=paris',
}
const route = 'POST /v1/report'
const whole = (text: string): ReadBody => ({ kind: 'whole', bytes: Buffer.from(text) })
const stream = (length: number | null): ReadBody => ({
  kind: 'stream',
  stream: Readable.from([]),
  length,
})

interface Parts {
  readonly method: string
  readonly origin: string
  readonly target: string
  readonly route: string
  readonly body: ReadBody
  readonly payment: Payment
}

function print(change: Partial<Parts> = {}) {
  const parts = { ...request, route, body: whole('{"city":"paris"}'), payment, ...change }
  const { method, origin, target, body } = parts
  return fingerprintRequest({ method, origin, target }, parts.route, {
    payment: parts.payment,
    body,
  })
}

test('the same request is the same, every time', () => {
  expect(print()).toBe(print({ body: whole('{"city":"paris"}') }))
})

test.each([
  ['method', { method: 'PUT' }],
  ['host', { origin: 'https://api.example.org' }],
  ['scheme', { origin: 'http://api.example.com' }],
  ['path', { target: '/v1/reports?city=paris' }],
  ['query', { target: '/v1/report?city=rome' }],
  ['route', { route: '/v1/*' }],
  ['body', { body: whole('{"city":"rome"}') }],
  ['body by one byte', { body: whole('{"city":"paris"} ') }],
  ['body that is missing', { body: whole('') }],
  ['body that is longer than we read', { body: stream(70_000) }],
])('another %s is another request', (_, change) => {
  expect(print(change)).not.toBe(print())
})

test('bodies longer than we read are told apart by their length', () => {
  const prints = [70_000, 70_001, null].map(length => print({ body: stream(length) }))
  expect(new Set(prints).size).toBe(3)
  expect(print({ body: stream(70_000) })).toBe(prints[0])
})

test('no two requests share a fingerprint by sliding text from one part to the next', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '/', '"', ',', '\\', '\n'), maxLength: 8 })
  const cuts = fc.tuple(fc.nat(8), fc.nat(8), fc.nat(8)).map(given => given.sort())
  const cut = (whole: string, [first = 0, second = 0, third = 0]: number[]) => ({
    method: whole.slice(0, first),
    origin: whole.slice(first, second),
    target: whole.slice(second, third),
    route: whole.slice(third),
  })
  fc.assert(
    fc.property(text, cuts, cuts, (whole, one, two) => {
      const [left, right] = [cut(whole, one), cut(whole, two)]
      const same = JSON.stringify(left) === JSON.stringify(right)
      expect(print(left) === print(right)).toBe(same)
    }),
    { numRuns: 2_000 },
  )
})

describe('the payment', async () => {
  const signed = await signV2(buyer, offer)
  const spell = (change: Record<string, unknown>) => ({
    ...signed,
    payload: { ...signed.payload, ...change },
  })
  const paymentOf = (payload: unknown): Payment => {
    const checked = check(payload, [offer])
    if (checked.kind !== 'passed') throw new Error(checked.reason)
    return checked.payment
  }
  const signature = String(signed.payload['signature'])
  const upper = `0x${signature.slice(2).toUpperCase()}`
  const forged = `0x${'11'.repeat(64)}1b`

  test('that we checked is no part of it, whatever its spelling or version', () => {
    const v1 = { x402Version: 1, scheme: 'exact', network: 'base-sepolia', payload: signed.payload }
    const prints = [signed, spell({ signature: upper }), v1].map(payload =>
      print({ payment: paymentOf(payload) }),
    )
    expect(new Set(prints).size).toBe(1)
  })

  test('that we could not check is part of it: a made-up signature redeems nothing', () => {
    const wallet = paymentOf(spell({ signature: `${signature}00` }))
    const made = paymentOf(spell({ signature: forged }))
    expect([wallet.signature, made.signature]).toEqual(['not-recovered', 'not-recovered'])
    expect(made.key).toBe(wallet.key)
    expect(print({ payment: made })).not.toBe(print({ payment: wallet }))
  })

  test('that we could not check is the same payment in other letters', () => {
    const wallet = paymentOf(spell({ signature: `${signature}00` }))
    const again = paymentOf(spell({ signature: `${upper}00` }))
    expect(print({ payment: again })).toBe(print({ payment: wallet }))
  })
})

test('the payment id is stable, short, and reveals neither payer nor nonce', async () => {
  const id = paymentId(payment.key)
  expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(paymentId(`${payment.key}` as typeof payment.key)).toBe(id)
  expect(paymentId((await pay(buyer, offer)).key)).not.toBe(id)
})
