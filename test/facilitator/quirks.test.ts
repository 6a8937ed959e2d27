import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FacilitatorQuirks } from '../../src/config/gateway-config.ts'
import { GATEWAY_WALLET } from '../../src/core/gateway-wallet.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../src/errors.ts'
import type { Facilitator } from '../../src/facilitator/facilitator.ts'
import { buyer } from '../support/accounts.ts'
import {
  answerWith,
  type StubFacilitator,
  startStubFacilitator,
} from '../support/stub-facilitator.ts'
import { createOffer, pay } from '../x402/payments.ts'
import { connect, noQuirks, supportedKinds } from './clients.ts'

const payment = await pay(buyer, createOffer())
const { payload } = payment
const { requirements } = payment.offer
const kinds = supportedKinds([2, 'eip155:84532'])

let stub: StubFacilitator
const opened: { close(): Promise<void> }[] = []
beforeEach(async () => {
  stub = await startStubFacilitator(answerWith({ ...kinds, isValid: true }))
  opened.push(stub)
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(one => one.close()))
})

function client(quirks: Partial<FacilitatorQuirks>, url = stub.url): Facilitator {
  const facilitator = connect(url, { quirks: { ...noQuirks, ...quirks } })
  opened.push(facilitator)
  return facilitator
}

test("a payment from Circle's GatewayWallet comes without a version beside it", async () => {
  const wallet = { ...requirements, extra: { ...GATEWAY_WALLET } }
  await client({}).verify(payload, wallet)
  expect(stub.requests[0]?.body).toEqual(
    JSON.parse(JSON.stringify({ paymentPayload: payload, paymentRequirements: wallet })),
  )
})

test('a service without /supported is never asked for it', async () => {
  const facilitator = client({ supported: ['eip155:8453', 'eip155:143'] })
  expect(await facilitator.supported()).toEqual({
    kinds: [
      { x402Version: 2, scheme: 'exact', network: 'eip155:8453' },
      { x402Version: 2, scheme: 'exact', network: 'eip155:143' },
    ],
    ...{ extensions: [], signers: {} },
  })
  expect(stub.requests).toEqual([])
})

describe('a redirect of /supported', () => {
  async function movedTo(target: string): Promise<StubFacilitator> {
    const moved = await startStubFacilitator(answerWith('', 308, { location: target }))
    opened.push(moved)
    return moved
  }

  test('is followed to where the service is known to live too, and payments go there', async () => {
    const old = await movedTo(`${stub.url}/base/supported`)
    const facilitator = client({ otherUrls: [`${stub.url}/base`] }, old.url)
    expect((await facilitator.supported()).kinds).toEqual(kinds.kinds)
    await facilitator.verify(payload, requirements)
    expect(stub.requests.map(({ path }) => path)).toEqual(['/base/supported', '/base/verify'])
    expect(old.requests).toHaveLength(1)
    // And back, when the service has turned it around.
    old.answer = answerWith(kinds)
    stub.answer = answerWith('', 301, { location: `${old.url}/supported` })
    await facilitator.supported()
    await facilitator.verify(payload, requirements).catch(() => undefined)
    expect(old.requests.map(({ path }) => path).slice(1)).toEqual(['/supported', '/verify'])
  })

  test.each([
    ['another place', '/elsewhere/supported'],
    ['another path of the right one', '/base/supported/more'],
    ['a query', '/base/supported?x'],
  ])('is not followed to %s', async (_, path) => {
    const old = await movedTo(`${stub.url}${path}`)
    const facilitator = client({ otherUrls: [`${stub.url}/base`] }, old.url)
    await expect(facilitator.supported()).rejects.toBeInstanceOf(FacilitatorUnavailableError)
    expect(stub.requests).toEqual([])
  })

  test('is followed once, not in circles', async () => {
    const old = await movedTo(`${stub.url}/supported`)
    stub.answer = answerWith('', 302, { location: `${old.url}/supported` })
    const facilitator = client({ otherUrls: [stub.url] }, old.url)
    await expect(facilitator.supported()).rejects.toBeInstanceOf(FacilitatorUnavailableError)
    expect([...old.requests, ...stub.requests]).toHaveLength(2)
  })
})

// It has the payment already: to call that a refusal would release a payment that is being settled.
test.each([409, 200])(
  'a settle that is a duplicate leaves the payment open: status %i',
  async status => {
    const answer = { success: false, errorReason: 'duplicate_settlement', transaction: '' }
    stub.answer = answerWith({ ...answer, network: requirements.network }, status)
    await expect(client({}).settle(payload, requirements)).rejects.toBeInstanceOf(
      SettlementUnknownError,
    )
  },
)

test('a service that speaks only version 1 is told its own name of a network', async () => {
  stub.answer = answerWith({ ...supportedKinds([1, 'sepolia-of-base']), isValid: true })
  const facilitator = client({})
  await facilitator.supported()
  await facilitator.verify(payload, requirements)
  expect(stub.requests[1]?.body).toMatchObject({
    x402Version: 1,
    paymentPayload: { network: 'sepolia-of-base' },
    paymentRequirements: { network: 'sepolia-of-base' },
  })
})
