import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Facilitator, Supported } from '../../src/facilitator/facilitator.ts'
import { createPaymentEngine } from '../../src/x402/payment-engine.ts'
import { connect, supportedKinds, v1Networks } from '../facilitator/clients.ts'
import { buyer } from '../support/accounts.ts'
import {
  answerWith,
  type StubFacilitator,
  startStubFacilitator,
} from '../support/stub-facilitator.ts'
import { createOffer, NETWORK, pay } from './payments.ts'

const transaction = `0x${'ab'.repeat(32)}`
const good = answerWith({ isValid: true, success: true, transaction, network: NETWORK })
const sepolia = supportedKinds([2, 'eip155:84532'])
const mainnet = supportedKinds([2, 'eip155:8453'])

const offer = createOffer()
const payment = await pay(buyer, offer)
const upfront = await pay(
  buyer,
  createOffer({ extra: { name: 'USDC', version: '2', paymentFlow: 'upfront' } }),
)

let first: StubFacilitator
let second: StubFacilitator
let clients: Facilitator[]

beforeEach(async () => {
  first = await startStubFacilitator(good)
  second = await startStubFacilitator(good)
  clients = [first, second].map(({ url }) => connect(url))
})
afterEach(() => Promise.all([...clients, first, second].map(one => one.close())))

/** An engine over the two stubs, in order, as if each had said this of itself. */
function engineOver(...supported: Supported[]) {
  const known = supported.flatMap((said, index) => {
    const facilitator = clients[index]
    return facilitator === undefined ? [] : [{ facilitator, supported: said }]
  })
  return createPaymentEngine(known, v1Networks)
}

const paths = (stub: StubFacilitator) => stub.requests.map(({ path }) => path)

test('verifies and settles with a receipt of what was asked for', async () => {
  const engine = await engineOver(sepolia)
  expect(await engine.verify(payment)).toEqual({ kind: 'valid' })
  expect(await engine.settle(payment)).toEqual({
    kind: 'settled',
    receipt: { transaction, network: NETWORK, payer: buyer.address, amount: 1000n },
  })
  expect(paths(first)).toEqual(['/verify', '/settle'])
})

describe('which facilitator is asked', () => {
  test('the first that supports the kind, and nobody else', async () => {
    const engine = await engineOver(sepolia, sepolia)
    await engine.verify(payment)
    await engine.settle(payment)
    expect([paths(first), paths(second)]).toEqual([['/verify', '/settle'], []])
  })

  test.each([
    ['another network', mainnet],
    ['another scheme', supportedKinds([2, 'eip155:84532', 'upto'])],
    ['nothing', supportedKinds()],
    ['a v1 name under v2, which says nothing of v2', supportedKinds([2, 'base-sepolia'])],
    ['a v1 name that we do not know', supportedKinds([1, 'another-sepolia'])],
    ['a CAIP-2 id under v1', supportedKinds([1, 'eip155:84532'])],
  ])('not one that supports %s', async (_, supported) => {
    const engine = await engineOver(supported, sepolia)
    for (const paid of [payment, upfront]) {
      expect(await engine.verify(paid)).toEqual({ kind: 'valid' })
      expect((await engine.settle(paid)).kind).toBe('settled')
    }
    expect(paths(first)).toEqual([])
    expect(paths(second)).toEqual(['/verify', '/settle', '/verify', '/settle'])
  })

  test('one that speaks v1 only counts as well', async () => {
    const engine = await engineOver(supportedKinds([1, 'base-sepolia']), sepolia)
    expect(engine.bind(offer.requirements)).toBe(offer.requirements)
    await engine.verify(payment)
    expect([paths(first), paths(second)]).toEqual([['/verify'], []])
  })

  test('the second verifies when the first fails, and does not settle what may be with the first', async () => {
    first.answer = { kind: 'reset' }
    const engine = await engineOver(sepolia, sepolia)
    expect((await engine.settle(payment)).kind).toBe('unknown')
    expect((await engine.verify(payment)).kind).toBe('valid')
    expect(paths(first)).toEqual(['/settle', '/verify'])
    expect(paths(second)).toEqual(['/verify'])
  })
})

describe('a kind that nobody supports', () => {
  test.each([
    ['with one facilitator for something else', [mainnet]],
    ['with two', [mainnet, supportedKinds([2, 'eip155:84532', 'upto'])]],
    ['with none that supports anything', [supportedKinds()]],
    ['with no facilitator at all', []],
  ])('is never sent to anybody, %s', async (_, supported) => {
    const engine = await engineOver(...supported)
    expect(engine.bind(offer.requirements)).toBeNull()
    for (const paid of [payment, upfront]) {
      expect(await engine.verify(paid)).toMatchObject({ kind: 'unavailable' })
      expect(await engine.settle(paid)).toEqual({ kind: 'not-sent', retryAfterSeconds: 5 })
    }
    expect([...first.requests, ...second.requests]).toEqual([])
  })
})

test('what is settled up front is verified too: a refused payment writes nothing', async () => {
  first.answer = answerWith({ isValid: false, invalidReason: 'insufficient_funds' })
  const engine = await engineOver(sepolia)
  const refused = { kind: 'invalid', reason: 'insufficient_funds' }
  expect(await engine.verify(upfront)).toEqual(refused)
  expect(await engine.verify(payment)).toEqual(refused)
  expect(paths(first)).toEqual(['/verify', '/verify'])
})

describe('a verdict', () => {
  test("without a reason has the spec's general one", async () => {
    first.answer = answerWith({ isValid: false })
    const engine = await engineOver(sepolia)
    expect(await engine.verify(payment)).toEqual({
      kind: 'invalid',
      reason: 'unexpected_verify_error',
    })
  })

  test('goes into a header, so no reason is longer than a line', async () => {
    first.answer = answerWith({
      isValid: false,
      invalidReason: `${'天'.repeat(4000)}\nURL: https://rpc.example.com/secret`,
    })
    const engine = await engineOver(sepolia)
    expect(await engine.verify(payment)).toEqual({ kind: 'invalid', reason: '天'.repeat(200) })
  })

  test.each([
    ['a limit', answerWith({ error: 'slow down' }, 429, { 'retry-after': '42' }), 42],
    ['an outage', answerWith({ error: 'busy' }, 503, { 'retry-after': '7' }), 7],
    ['a cut connection', { kind: 'reset' } as const, 5],
  ])('that %s holds up tells when to come again', async (_, answer, retryAfterSeconds) => {
    first.answer = answer
    const engine = await engineOver(sepolia)
    for (const paid of [payment, upfront]) {
      expect(await engine.verify(paid)).toEqual({ kind: 'unavailable', retryAfterSeconds })
    }
  })
})

describe('a settlement is sent once', () => {
  const pending = { success: false, errorReason: 'settlement_pending', network: NETWORK }

  test.each([
    [
      'pending, with a transaction',
      answerWith({ ...pending, transaction }),
      'unknown',
      transaction,
    ],
    ['pending, without one', answerWith({ ...pending, transaction: '' }), 'unknown', null],
    ['pending, as a 409', answerWith({ ...pending, transaction }, 409), 'unknown', transaction],
    ['pending, as a 500', answerWith({ ...pending, transaction }, 500), 'unknown', transaction],
    ['a cut connection', { kind: 'reset' } as const, 'unknown', null],
    ["a proxy's page", answerWith('<html>', 502), 'unknown', null],
  ])('%s', async (_, answer, kind, named) => {
    first.answer = answer
    const engine = await engineOver(sepolia, sepolia)
    for (const paid of [payment, upfront]) {
      expect(await engine.settle(paid)).toMatchObject({ kind, transaction: named })
    }
    expect(paths(first)).toEqual(['/settle', '/settle'])
    expect(paths(second)).toEqual([])
  })

  test('a refusal', async () => {
    first.answer = answerWith({ success: false, errorReason: 'insufficient_funds' })
    const engine = await engineOver(sepolia, sepolia)
    expect(await engine.settle(payment)).toEqual({ kind: 'rejected', reason: 'insufficient_funds' })
    expect([paths(first), paths(second)]).toEqual([['/settle'], []])
  })

  test('a facilitator that is gone was sent nothing', async () => {
    const engine = await engineOver(sepolia)
    await first.close()
    expect(await engine.settle(payment)).toEqual({ kind: 'not-sent', retryAfterSeconds: 5 })
    first = await startStubFacilitator()
  })

  test('a facilitator that breaks in a way of its own leaves it unknown', async () => {
    const broken = {
      ...clients[0],
      settle: () => Promise.reject(new TypeError('a bug')),
    } as Facilitator // the rest is a client's
    const engine = await createPaymentEngine(
      [{ facilitator: broken, supported: sepolia }],
      v1Networks,
    )
    expect(await engine.settle(payment)).toMatchObject({ kind: 'unknown', transaction: null })
  })
})

test('what goes to the facilitator is our offer and the payment in one spelling', async () => {
  const engine = await engineOver(sepolia)
  await engine.verify(payment)
  await engine.settle(payment)
  const sent = JSON.parse(
    JSON.stringify({
      x402Version: 2,
      paymentPayload: payment.payload,
      paymentRequirements: offer.requirements,
    }),
  )
  expect(first.requests.map(({ body }) => body)).toEqual([sent, sent])
})
