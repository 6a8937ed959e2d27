import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FacilitatorConfig } from '../../src/config/gateway-config.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../src/errors.ts'
import type { Facilitator, Supported } from '../../src/facilitator/facilitator.ts'
import { buyer } from '../support/accounts.ts'
import {
  answerWith,
  type StubAnswer,
  type StubFacilitator,
  startStubFacilitator,
} from '../support/stub-facilitator.ts'
import { createOffer, pay } from '../x402/payments.ts'
import { connect, supportedKinds } from './clients.ts'

const transaction = `0x${'ab'.repeat(32)}`
const payment = await pay(buyer, createOffer())
const { requirements } = payment.offer
const short = { timeoutMs: 150, settleTimeoutMs: 150 }

let stub: StubFacilitator
const opened: { close(): Promise<void> }[] = []

beforeEach(async () => {
  stub = await startStubFacilitator()
  opened.push(stub)
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(one => one.close()))
})

function client(
  change: Partial<FacilitatorConfig> = {},
  url = stub.url,
  lastSaid: Supported | null = null,
): Facilitator {
  const facilitator = connect(url, change, lastSaid)
  opened.push(facilitator)
  return facilitator
}

const operations = {
  supported: (facilitator: Facilitator) => facilitator.supported(),
  verify: (facilitator: Facilitator) => facilitator.verify(payment.payload, requirements),
  settle: (facilitator: Facilitator) => facilitator.settle(payment.payload, requirements),
}
type Operation = keyof typeof operations

/** Lets an operation fail and returns what it failed with. */
async function failure(
  operation: Operation,
  change: Partial<FacilitatorConfig> = {},
  url?: string,
) {
  return operations[operation](client(change, url)).then(
    answer => ({ notAnError: answer }),
    (error: unknown) => error,
  )
}

/** What must come of an answer that proves nothing, by operation. */
const untrusted = [
  ['supported', FacilitatorUnavailableError],
  ['verify', FacilitatorUnavailableError],
  ['settle', SettlementUnknownError],
] as const

describe('an answer that proves nothing', () => {
  const verifyOk = { isValid: true, payer: buyer.address }
  const settleOk = { success: true, transaction, network: requirements.network, payer: '0x1' }
  const allOk = { ...verifyOk, ...settleOk, ...supportedKinds([2, 'eip155:84532']) }
  const answers: [string, StubAnswer][] = [
    ['status 500', answerWith({ error: 'busy' }, 500)],
    ['status 500 with a good body', answerWith(allOk, 500)],
    ['status 502 with a page', answerWith('<html>Bad gateway</html>', 502)],
    ['status 202 with a good body', answerWith(allOk, 202)],
    ['status 409 with a good body', answerWith(allOk, 409)],
    ['JSON that is cut off', answerWith('{"isValid":true,"success":true,"kinds":[')],
    ['no body', answerWith('')],
    ['null', answerWith(null)],
    ['a list', answerWith([allOk])],
    ['an empty object', answerWith({})],
    [
      'text where a boolean belongs',
      answerWith({ isValid: 'true', success: 'true', kinds: 'all' }),
    ],
    ['a number where a boolean belongs', answerWith({ isValid: 1, success: 1, kinds: 1 })],
    ['the answer to another question', answerWith({ ok: true, valid: true, settled: true })],
    ['more than a mebibyte', answerWith({ ...allOk, padding: 'x'.repeat(1024 * 1024) })],
    ['a cut connection', { kind: 'reset' }],
  ]

  test.each(answers)('%s', async (_, answer) => {
    stub.answer = answer
    for (const [operation, expected] of untrusted) {
      expect(await failure(operation), operation).toBeInstanceOf(expected)
    }
    expect(stub.requests).toHaveLength(untrusted.length)
  })

  test('a success without a transaction', async () => {
    stub.answer = answerWith({ ...settleOk, transaction: '' })
    expect(await failure('settle')).toBeInstanceOf(SettlementUnknownError)
    stub.answer = answerWith({ success: true, network: requirements.network })
    expect(await failure('settle')).toBeInstanceOf(SettlementUnknownError)
  })

  test.each([
    ['no answer', { kind: 'hang' }],
    ['an answer that trickles in without end', { kind: 'trickle', intervalMs: 20 }],
  ] as const)('%s within the time-out', async (_, answer) => {
    stub.answer = answer
    const startedAt = performance.now()
    for (const [operation, expected] of untrusted) {
      expect(await failure(operation, short), operation).toBeInstanceOf(expected)
    }
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })
})

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])(
    '%i is not followed: nobody else sees a payment',
    async status => {
      const elsewhere = await startStubFacilitator(answerWith({ isValid: true, success: true }))
      opened.push(elsewhere)
      stub.answer = answerWith('', status, { location: `${elsewhere.url}/verify` })
      for (const [operation, expected] of untrusted) {
        expect(await failure(operation), operation).toBeInstanceOf(expected)
      }
      expect(stub.requests).toHaveLength(untrusted.length)
      expect(elsewhere.requests).toEqual([])
    },
  )
})

describe('nothing is repeated', () => {
  test.each(['verify', 'settle'] as const)(
    'after a cut connection: %s is sent once',
    async name => {
      stub.answer = { kind: 'reset' }
      const facilitator = client()
      await operations[name](facilitator).catch(() => undefined)
      stub.answer = answerWith({ isValid: false, success: false })
      await operations[name](facilitator)
      expect(stub.requests).toHaveLength(2)
    },
  )
})

describe('a settle that was never written to a connection settles nothing', () => {
  test('because nobody listens', async () => {
    await stub.close()
    opened.splice(opened.indexOf(stub), 1)
    expect(await failure('settle')).toBeInstanceOf(FacilitatorUnavailableError)
    expect(await failure('verify')).toBeInstanceOf(FacilitatorUnavailableError)
  })

  test('because no such host exists', async () => {
    const error = await failure('settle', {}, 'http://facilitator.invalid')
    expect(error).toBeInstanceOf(FacilitatorUnavailableError)
  })

  test('because the host is silent before it can read anything, and within the time-out', async () => {
    // Takes TCP connections and never greets: a TLS handshake with it does not end.
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : null
    const startedAt = performance.now()
    for (const operation of ['verify', 'settle'] as const) {
      const error = await failure(operation, short, `https://127.0.0.1:${port}`)
      expect(error).toBeInstanceOf(FacilitatorUnavailableError)
    }
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    silent.close()
  })

  test('because every connection was busy, and it is not sent behind our back later', async () => {
    const facilitator = client({ timeoutMs: 400, settleTimeoutMs: 100 })
    const busy = Array.from({ length: 65 }, () => operations.verify(facilitator).catch(() => null))
    const error = await operations.settle(facilitator).catch((given: unknown) => given)
    expect(error).toBeInstanceOf(FacilitatorUnavailableError)
    await Promise.all(busy)
    // Ends once every request that still waited for a connection was sent or dropped.
    await facilitator.close()
    opened.splice(opened.indexOf(facilitator), 1)
    expect(stub.requests.map(({ path }) => path)).not.toContain('/settle')
  })

  test('because its certificate is not trusted', async () => {
    // Plain HTTP where TLS is expected fails in the handshake, as an untrusted certificate does.
    const error = await failure('settle', {}, stub.url.replace('http:', 'https:'))
    expect(error).toBeInstanceOf(FacilitatorUnavailableError)
    expect(stub.requests).toEqual([])
  })

  test.each([401, 403, 404, 405, 413, 429])('because it was turned away with %i', async status => {
    stub.answer = answerWith({ error: 'no' }, status)
    expect(await failure('settle')).toBeInstanceOf(FacilitatorUnavailableError)
  })
})

test.each([
  ['17', 17],
  ['0', 1],
  ['999999', 600],
  ['31536000', 600],
  ['Wed, 21 Oct 2015 07:28:00 GMT', 1],
  ['Fri, 31 Dec 2999 23:59:59 GMT', 600],
  ['2999-12-31', 5],
  ['Wed, 99 Foo 2026 07:28:00 GMT', 5],
  ['-3', 5],
  ['soon', 5],
])(
  'a facilitator that says "Retry-After: %s" is left alone for %i seconds',
  async (said, seconds) => {
    stub.answer = answerWith({ error: 'slow down' }, 429, { 'retry-after': said })
    const retryAfterSeconds = seconds
    expect(await failure('verify')).toMatchObject({ retryAfterSeconds })
    expect(await failure('settle')).toMatchObject({ retryAfterSeconds })
  },
)

describe('a refusal is an answer', () => {
  test.each([200, 400, 402, 409, 422])('of verify with status %i', async status => {
    stub.answer = answerWith({ isValid: false, invalidReason: 'insufficient_funds' }, status)
    expect(await operations.verify(client())).toMatchObject({
      isValid: false,
      invalidReason: 'insufficient_funds',
    })
  })

  test.each([200, 400, 402, 409])('of settle with status %i', async status => {
    stub.answer = answerWith(
      { success: false, errorReason: 'insufficient_funds', network: 'base-sepolia' },
      status,
    )
    expect(await operations.settle(client())).toMatchObject({
      success: false,
      errorReason: 'insufficient_funds',
      transaction: '',
      network: requirements.network,
    })
  })

  test('with nulls where nothing is to be said', async () => {
    stub.answer = answerWith({
      ...{ isValid: false, invalidReason: null, payer: null },
      ...{ success: false, errorReason: null, transaction: null },
    })
    expect((await operations.verify(client())).isValid).toBe(false)
    expect(await operations.settle(client())).toMatchObject({ success: false, transaction: '' })
  })
})

test('a 429 is about the service and no refusal, whatever its body says', async () => {
  const refusal = { isValid: false, invalidReason: 'slow_down', success: false }
  stub.answer = answerWith({ ...refusal, errorReason: 'slow_down' }, 429)
  for (const operation of ['verify', 'settle'] as const) {
    const error = await failure(operation)
    expect(error).toBeInstanceOf(FacilitatorUnavailableError)
    expect(error).toMatchObject({ restSeconds: 1 })
  }
  stub.answer = answerWith({ ...refusal, success: true, transaction }, 429)
  expect(await failure('settle')).toBeInstanceOf(SettlementUnknownError)
  stub.answer = answerWith({ ...refusal, transaction }, 429)
  expect(await operations.settle(client())).toMatchObject({ success: false, transaction })
})

test.each([
  [429, '7', 7],
  [503, '7', 7],
  [503, null, null],
  [500, '7', null],
])('status %i with Retry-After %s asks for a rest of %s seconds', async (status, said, rest) => {
  stub.answer = answerWith({ error: 'busy' }, status, said === null ? {} : { 'retry-after': said })
  for (const operation of ['supported', 'verify', 'settle'] as const) {
    expect(await failure(operation)).toMatchObject({ restSeconds: rest })
  }
})

test('a body that names a 5xx refusal decides nothing', async () => {
  stub.answer = answerWith(
    { isValid: false, success: false, errorReason: 'insufficient_funds' },
    503,
  )
  expect(await failure('verify')).toBeInstanceOf(FacilitatorUnavailableError)
  expect(await failure('settle')).toBeInstanceOf(SettlementUnknownError)
})

describe('what is sent', () => {
  test('goes below the base path, with the configured headers, as v2 JSON', async () => {
    stub.answer = answerWith({ isValid: true, payer: buyer.address })
    const headers = { authorization: 'Bearer secret' }
    const verdict = await operations.verify(client({ headers }, `${stub.url}/api/v1/key`))
    expect(verdict).toEqual({ isValid: true, payer: buyer.address })
    const [request] = stub.requests
    expect(request).toMatchObject({
      method: 'POST',
      path: '/api/v1/key/verify',
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
    })
    expect(request?.body).toEqual({
      x402Version: 2,
      paymentPayload: JSON.parse(JSON.stringify(payment.payload)),
      paymentRequirements: requirements,
    })
  })

  test('speaks v1 to a service that lists the kind in v1 only, v2 to any other', async () => {
    const version = async (...kinds: Parameters<typeof supportedKinds>) => {
      stub.answer = ({ path }) =>
        answerWith(path === '/supported' ? supportedKinds(...kinds) : { isValid: true })
      const facilitator = client()
      await facilitator.supported()
      await operations.verify(facilitator)
      return Object(stub.requests.at(-1)?.body).x402Version
    }
    expect(await version([1, 'base-sepolia'])).toBe(1)
    expect(await version([1, 'base-sepolia'], [2, 'eip155:84532'])).toBe(2)
    expect(await version([1, 'base'])).toBe(2)
    expect(await version([1, 'base-sepolia', 'upto'])).toBe(2)
    expect(await version()).toBe(2)
    const before = supportedKinds([1, 'base-sepolia'])
    stub.answer = answerWith({ isValid: true })
    await operations.verify(client({}, stub.url, before))
    expect(Object(stub.requests.at(-1)?.body).x402Version).toBe(1)
  })
})

describe('an error', () => {
  test.each([
    ['supported', { kind: 'hang' }],
    ['verify', answerWith({ error: 'https://key:secret@rpc' }, 500)],
    ['settle', { kind: 'reset' }],
  ] as const)('of %s names the facilitator and no URL, header or payment', async (name, answer) => {
    stub.answer = answer
    const change = { ...short, name: 'payments-one', headers: { 'x-secret-key': 'secret' } }
    const error = await failure(name, change, `${stub.url}/secret`)
    expect(String(error)).toContain('payments-one')
    expect(String(error)).not.toMatch(/secret|127\.0\.0\.1|0x/)
    expect(Object(error).fix).toMatch(/^[A-Z].*\.$/)
  })
})

test('what it supports is read with all that services leave out or add', async () => {
  stub.answer = answerWith({
    kinds: [{ x402Version: 2, scheme: 'exact', network: 'eip155:84532', extra: null, fee: '1%' }],
    signers: null,
    uptime: 1,
  })
  expect(await client().supported()).toEqual({
    kinds: [{ x402Version: 2, scheme: 'exact', network: 'eip155:84532' }],
    extensions: [],
    signers: {},
  })
})
