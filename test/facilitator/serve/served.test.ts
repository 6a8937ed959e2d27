import { readFile, writeFile } from 'node:fs/promises'
import { HTTPFacilitatorClient } from '@x402/core/http'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PaymentPayload } from '../../../src/core/payment.ts'
import { FACILITATOR_PRIVATE_KEY, seller } from '../../support/accounts.ts'
import { type Chain, startChain } from '../../support/chain.ts'
import { type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'
import {
  OTHER_KEY,
  type ServedFacilitator,
  SHOP_KEY,
  startServedFacilitator,
} from '../../support/served-facilitator.ts'
import { createOffer, paymentOf } from '../../x402/payments.ts'
import { settleBodyV1, settleBodyV2 } from './bodies.ts'

const PRICE = 1_000n
const offer = createOffer({ amount: String(PRICE) })
const { requirements } = offer
const bodyV1 = (payment: PaymentPayload) => settleBodyV1(payment, requirements)
const bodyV2 = (payment: PaymentPayload) => settleBodyV2(payment, requirements)

let chain: Chain
let served: ServedFacilitator

beforeAll(async () => {
  chain = await startChain()
  served = await startServedFacilitator(chain)
})
afterAll(async () => {
  await served.close()
  await chain.close()
})

async function newPayment(change: Partial<typeof requirements> = {}): Promise<PaymentPayload> {
  const payer = privateKeyToAccount(generatePrivateKey())
  await chain.mint(payer.address, 10n * PRICE)
  return paymentOf(payer, offer, change)
}

function post(path: string, body: unknown, { key = SHOP_KEY, url = served.url } = {}) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return fetch(`${url}${path}`, { method: 'POST', headers, body: text })
}

function officialClient(): HTTPFacilitatorClient {
  const headers = { authorization: `Bearer ${SHOP_KEY}` }
  return new HTTPFacilitatorClient({
    url: served.url,
    createAuthHeaders: async () => ({ verify: headers, settle: headers, supported: headers }),
  })
}

/** The official client's types are mutable; it does not write to what it is given. */
const forClient = (value: object): never => value as never // see above

describe('the official facilitator client', () => {
  test('hears what is supported, in both versions', async () => {
    const { kinds, signers } = await officialClient().getSupported()
    const exact = { scheme: 'exact' }
    expect(kinds).toEqual([
      { ...exact, x402Version: 2, network: 'eip155:84532' },
      { ...exact, x402Version: 1, network: 'base-sepolia' },
    ])
    expect(signers).toEqual({
      'eip155:*': [privateKeyToAccount(FACILITATOR_PRIVATE_KEY).address],
    })
  })

  test.each([
    ['2', bodyV2, 'eip155:84532'],
    ['1', bodyV1, 'base-sepolia'],
  ] as const)('verifies and settles in version %s', async (_, bodyOf, network) => {
    const { paymentPayload, paymentRequirements } = bodyOf(await newPayment())
    const client = officialClient()
    const asked = [forClient(paymentPayload), forClient(paymentRequirements)] as const
    const before = await chain.balanceOf(seller.address)
    expect(await client.verify(...asked)).toMatchObject({ isValid: true })
    expect(await client.settle(...asked)).toMatchObject({
      ...{ success: true, network },
      transaction: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    })
    expect(await chain.balanceOf(seller.address)).toBe(before + PRICE)
  })
})

describe('failures are answers', () => {
  test.each([
    ['2', bodyV2, 'eip155:84532'],
    ['1', bodyV1, 'base-sepolia'],
  ] as const)('of a payment that goes elsewhere, in version %s', async (_, bodyOf, network) => {
    const body = bodyOf(await newPayment({ payTo: served ? requirements.asset : '' }))
    const verified = await post('/verify', body)
    const reason = 'invalid_exact_evm_payload_recipient_mismatch'
    expect(verified.status).toBe(200)
    expect(await verified.json()).toEqual({ isValid: false, invalidReason: reason })
    const settled = await post('/settle', body)
    expect(settled.status).toBe(200)
    const failure = { success: false, errorReason: reason, transaction: '', network }
    expect(await settled.json()).toEqual(failure)
  })

  test.each<[string, number, () => Promise<Response>]>([
    ['malformed_facilitator_request', 400, () => post('/verify', '{"x402Version": 2}')],
    ['unknown_key', 401, () => post('/settle', {}, { key: `${SHOP_KEY}x` })],
    ['unknown_key', 401, () => fetch(`${served.url}/supported`)],
    ['no_such_route', 404, () => post('/discovery', {})],
    ['method_not_allowed', 405, () => fetch(`${served.url}/settle`)],
    ['body_too_large', 413, () => post('/verify', 'x'.repeat(65 * 1024))],
  ])('%s is %i', async (code, status, ask) => {
    const response = await ask()
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code })
  })
})

describe('one payment makes one transaction', () => {
  test('asked through two keys at once, and again; the row tells who asked first', async () => {
    const payment = await newPayment()
    const before = served.rows().length
    const asked = Array.from({ length: 6 }, (_, index) =>
      post('/settle', index < 3 ? bodyV2(payment) : bodyV1(payment), {
        key: index % 2 === 0 ? SHOP_KEY : OTHER_KEY,
      }).then(response => response.json()),
    )
    const answers = (await Promise.all(asked)) as { success: boolean; transaction: string }[] // its shape
    expect(answers.map(({ success }) => success)).toEqual(Array(6).fill(true))
    expect(new Set(answers.map(({ transaction }) => transaction)).size).toBe(1)
    const [row, ...more] = served.rows().slice(before)
    expect(more).toEqual([])
    expect(row).toEqual({
      ...{ state: 'settled', transaction_hash: answers[0]?.transaction },
      route: expect.stringMatching(/^(shop|other)$/),
    })
    const again = await post('/settle', bodyV2(payment), { key: OTHER_KEY })
    expect(await again.json()).toMatchObject({ transaction: answers[0]?.transaction })
  })

  test('one that was refused is free again', async () => {
    const payer = privateKeyToAccount(generatePrivateKey())
    const payment = await paymentOf(payer, offer)
    const refused = await post('/settle', bodyV2(payment))
    expect(await refused.json()).toMatchObject({ success: false, transaction: '' })
    expect(served.rows().at(-1)).toMatchObject({ state: 'released', route: 'shop' })
    await chain.mint(payer.address, PRICE)
    const settled = await post('/settle', bodyV2(payment), { key: OTHER_KEY })
    expect(await settled.json()).toMatchObject({ success: true })
    expect(served.rows().at(-1)).toMatchObject({ state: 'settled', route: 'other' })
  })

  test('another signature with its nonce takes nothing from it', async () => {
    const payment = await newPayment()
    const stranger = privateKeyToAccount(generatePrivateKey())
    const { signature } = Object((await paymentOf(stranger, offer)).payload)
    const forged = { ...payment, payload: { ...payment.payload, signature } }
    const answers = await Promise.all(
      [forged, payment].map(async one => (await post('/settle', bodyV2(one))).json()),
    )
    expect(answers).toMatchObject([{ success: false }, { success: true }])
  })
})

test('metrics count by key, operation and outcome, and what gas cost; nothing secret is told', async () => {
  await (await post('/settle', bodyV2(await newPayment()), { key: OTHER_KEY })).json()
  await chain.publicClient.request({ method: 'anvil_mine', params: ['0x2'] } as never) // viem has no name for it
  const metrics = async () => (await fetch(`${served.adminUrl}/metrics`)).text()
  await expect.poll(metrics).toMatch(/gas_spent_coins_total\{[^}]+\} 0\.0/)
  const text = await metrics()
  expect(text).toMatch(
    /farebox_served_requests_total\{key="other",operation="settle",outcome="settled"\} [1-9]/,
  )
  expect(text).toMatch(
    /served_requests_total\{key="\(none\)",operation="settle",outcome="unknown_key"/,
  )
  expect(text).toMatch(/farebox_gas_balance_coins\{network="eip155:84532",address="0x\w+"\} \d/)
  const told = text + served.log()
  expect(told).toContain('"caller":"other"')
  for (const secret of [SHOP_KEY, OTHER_KEY, FACILITATOR_PRIVATE_KEY.slice(2), chain.rpcUrl]) {
    expect(told).not.toContain(secret)
  }
})

describe('limits of a key', () => {
  let limited: ServedFacilitator
  beforeAll(async () => {
    const limits = '{perMinute: 3, maxAmount: $0.0009}'
    limited = await startServedFacilitator(chain, { limits })
  })
  afterAll(() => limited.close())

  test('an amount beyond them is refused, and requests beyond them get 429', async () => {
    const { url } = limited
    const body = bodyV2(await newPayment())
    const refusal = { isValid: false, invalidReason: 'invalid_payment_requirements' }
    expect(await (await post('/verify', body, { url })).json()).toEqual(refusal)
    const settled = await (await post('/settle', body, { url })).json()
    expect(settled).toMatchObject({ success: false, transaction: '' })
    expect(limited.rows()).toEqual([])
    expect((await post('/verify', body, { url })).status).toBe(200)
    const tooMany = await post('/verify', body, { url })
    expect(tooMany.status).toBe(429)
    expect(Number(tooMany.headers.get('retry-after'))).toBeGreaterThan(15)
    expect((await post('/verify', body, { url, key: OTHER_KEY })).status).toBe(200)
  })

  test('keys are read again; what else has changed takes a restart', async () => {
    const text = await readFile(limited.configFile, 'utf8')
    const newKey = 'another-key-0123456789abc'
    await writeFile(limited.configFile, text.replace(OTHER_KEY, newKey))
    expect(await limited.reload()).toEqual({ kind: 'reloaded' })
    const { url } = limited
    expect((await post('/verify', {}, { url, key: OTHER_KEY })).status).toBe(401)
    expect((await post('/verify', {}, { url, key: newKey })).status).toBe(400)
    await writeFile(limited.configFile, text.replace('settleTimeout: 15s', 'settleTimeout: 16s'))
    expect(await limited.reload()).toMatchObject({ kind: 'refused' })
    expect((await post('/verify', {}, { url, key: newKey })).status).toBe(400)
  })
})

describe('without a node', () => {
  let proxy: RpcProxy
  let stranded: ServedFacilitator
  beforeAll(async () => {
    proxy = await startRpcProxy(chain.rpcUrl)
    stranded = await startServedFacilitator(chain, { rpcUrl: proxy.url })
  })
  afterAll(async () => {
    await stranded.close()
    await proxy.close()
  })

  test('nothing is decided: 503, and the same payment settles once there is one', async () => {
    const { url } = stranded
    const body = bodyV2(await newPayment())
    proxy.answer = () => ({ kind: 'reset' })
    for (const path of ['/verify', '/settle']) {
      const response = await post(path, body, { url })
      expect(response.status).toBe(503)
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(await response.json()).toMatchObject({ code: 'facilitator_unavailable' })
    }
    expect(stranded.rows()).toMatchObject([{ state: 'released' }])
    proxy.answer = () => null
    const settle = async () => (await post('/settle', body, { url })).json()
    await expect.poll(settle).toMatchObject({ success: true })
    expect(stranded.rows()).toMatchObject([{ state: 'settled' }])
  })
})
