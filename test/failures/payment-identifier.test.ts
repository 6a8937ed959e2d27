import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { x402Client } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm'
import {
  appendPaymentIdentifierToExtensions,
  generatePaymentId,
} from '@x402/extensions/payment-identifier'
import { wrapFetchWithPayment } from '@x402/fetch'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { startTestGateway, startWorld, type TestGateway, type World } from '../support/gateway.ts'
import {
  codeOf,
  pay,
  readReceipt,
  readRows,
  type SignOptions,
  signFor,
  withIdentifier,
} from '../support/payments.ts'

let answer: (response: ServerResponse) => void
let seen: IncomingMessage[]
let world: World
let gateway: TestGateway
let earnedBefore: bigint
let id: string

const upstream = createServer((incoming, response) => {
  seen.push(incoming)
  answer(response)
})

beforeAll(async () => {
  world = await startWorld()
  await world.chain.mint(buyer.address, 1_000_000_000n)
  await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  upstream.close()
  upstream.closeAllConnections()
  await world.close()
})

beforeEach(async () => {
  seen = []
  id = generatePaymentId()
  answer = response => response.end('content')
  earnedBefore = await world.chain.balanceOf(seller.address)
  gateway = await startTestGateway(`
server: {listen: "127.0.0.1:0"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${world.facilitator.url}"]
upstreams: {shop: {url: "http://127.0.0.1:${(upstream.address() as AddressInfo).port}"}}
routes:
  /kept/{thing}: {price: $0.001, replay: {}}
  /plain/{thing}: $0.001
  /up-front/{thing}: {price: $0.001, settle: before-upstream}
  /named/{thing}: {price: $0.001, paymentIdentifier: required}`)
})

afterEach(() => gateway.close())

const earned = async (): Promise<bigint> =>
  (await world.chain.balanceOf(seller.address)) - earnedBefore

/** Signs afresh and pays under the identifier. */
async function buy(path: string, options: SignOptions = {}, named = id): Promise<Response> {
  const url = gateway.url + path
  return pay(url, withIdentifier(await signFor(world.chain, url, options), named))
}

describe('the official client', () => {
  const client = () =>
    x402Client
      .fromConfig({ schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(buyer) }] })
      .onBeforePaymentCreation(async ({ paymentRequired }) => {
        appendPaymentIdentifierToExtensions(paymentRequired.extensions ?? {}, id)
      })

  test('that pays twice under one id is charged once, and gets the response again', async () => {
    const fetchPaid = wrapFetchWithPayment(fetch, client())
    const replies = [
      await fetchPaid(`${gateway.url}/kept/x`),
      await fetchPaid(`${gateway.url}/kept/x`),
    ]
    expect(await Promise.all(replies.map(reply => reply.text()))).toEqual(['content', 'content'])
    const [first, second] = replies.map(reply => reply.headers.get('payment-response'))
    expect(second).toBe(first)
    expect(replies[1]?.headers.get('farebox-replayed')).toBe('true')
    expect(seen).toHaveLength(1)
    expect(await earned()).toBe(1_000n)
  })

  test('that knows nothing of ids echoes the declaration and is served', async () => {
    const plain = x402Client.fromConfig({
      schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(buyer) }],
    })
    const paying = wrapFetchWithPayment(fetch, plain)
    expect(await (await paying(`${gateway.url}/plain/x`)).text()).toBe('content')
    expect(await (await paying(`${gateway.url}/plain/x`)).text()).toBe('content')
    expect(await earned()).toBe(2_000n)
  })

  test('meets a route that requires one', async () => {
    const paid = await wrapFetchWithPayment(fetch, client())(`${gateway.url}/named/x`)
    expect(await paid.text()).toBe('content')
  })
})

describe('the same payer, id and request', () => {
  test('twenty fresh payments at once: one executes, one is charged', async () => {
    const url = `${gateway.url}/kept/x`
    const payments = await Promise.all(
      Array.from({ length: 20 }, async () => withIdentifier(await signFor(world.chain, url), id)),
    )
    const replies = await Promise.all(payments.map(payment => pay(url, payment)))
    const codes = await Promise.all(replies.filter(({ status }) => status !== 200).map(codeOf))
    const known = ['payment_in_progress', 'settlement_pending']
    expect(codes.filter(code => !known.includes(code))).toEqual([])
    const made = replies.filter(
      ({ status, headers }) => status === 200 && headers.get('farebox-replayed') === null,
    )
    expect(made).toHaveLength(1)
    expect(seen).toHaveLength(1)
    expect(await earned()).toBe(1_000n)
    expect(readRows(gateway.storeFile)).toHaveLength(1)
  })

  test('without replay the second hears that it was used, with the first receipt', async () => {
    const first = await buy('/plain/x')
    await first.text()
    const second = await buy('/plain/x')
    expect([second.status, await codeOf(second)]).toEqual([409, 'payment_already_used'])
    expect(readReceipt(second)).toEqual(readReceipt(first))
    expect(await earned()).toBe(1_000n)
  })

  test('a poor payer gets what it paid for: no balance is asked for', async () => {
    const poor = privateKeyToAccount(generatePrivateKey())
    await world.chain.mint(poor.address, 1_000n)
    await (await buy('/kept/x', { signer: poor })).text()
    const verified = world.facilitator.calls.verify.length
    expect(await (await buy('/kept/x', { signer: poor })).text()).toBe('content')
    expect(world.facilitator.calls.verify).toHaveLength(verified)
  })

  test('redeems what was not delivered, under the name of the first payment', async () => {
    answer = response => response.destroy()
    const first = await buy('/up-front/x')
    expect(first.status).toBe(502)
    answer = response => response.end('content')
    const second = await buy('/up-front/x')
    expect(await second.text()).toBe('content')
    expect(readReceipt(second)).toEqual(readReceipt(first))
    const [one, other] = seen.map(({ headers }) => [
      headers['farebox-payment-id'],
      headers['idempotency-key'],
      headers['farebox-amount'],
      headers['farebox-payer'],
    ])
    expect(one?.[2]).toBe('0.001 USDC')
    expect(other).toEqual(one)
    expect(await earned()).toBe(1_000n)
  })

  test('a payment that was released gives its id to the next', async () => {
    answer = response => response.destroy()
    expect((await buy('/plain/x')).status).toBe(502)
    answer = response => response.end('content')
    expect(await (await buy('/plain/x')).text()).toBe('content')
    expect(await earned()).toBe(1_000n)
    const sent = world.facilitator.calls.verify.map(call => JSON.stringify(call))
    expect(sent.filter(text => text.includes(id))).toEqual([])
  })

  test('in progress is in progress', async () => {
    const asked = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    answer = response => {
      asked.resolve()
      void go.promise.then(() => response.end('content'))
    }
    const first = buy('/plain/x')
    await asked.promise
    expect(await codeOf(await buy('/plain/x'))).toBe('payment_in_progress')
    go.resolve()
    expect(await (await first).text()).toBe('content')
  })
})

describe('a smart wallet', () => {
  const wallet = '0x00000000000000000000000000000000000a11e8'
  const ofWallet = { authorization: { from: wallet } } as const

  beforeAll(async () => {
    await world.chain.deployWallet(wallet, buyer.address)
    await world.chain.mint(wallet, 1_000_000n)
  })

  test('is charged once for two fresh payments, and named only after the chain has spoken', async () => {
    const first = await buy('/kept/x', ofWallet)
    expect(await first.text()).toBe('content')
    const verified = world.facilitator.calls.verify.length
    const second = await buy('/kept/x', ofWallet)
    expect([await second.text(), second.headers.get('farebox-replayed')]).toEqual([
      'content',
      'true',
    ])
    expect(world.facilitator.calls.verify).toHaveLength(verified + 1)
    expect(await codeOf(await buy('/kept/y', ofWallet))).toBe('payment_identifier_reused')
    expect(await earned()).toBe(1_000n)
  })

  test('tells nothing to a signature that the chain refuses', async () => {
    await (await buy('/kept/x', ofWallet)).text()
    const signer = privateKeyToAccount(generatePrivateKey())
    for (const path of ['/kept/x', '/kept/y']) {
      expect((await buy(path, { signer, ...ofWallet })).status).toBe(402)
    }
  })
})

describe('an id that does not fit', () => {
  test('another request of the same payer is refused', async () => {
    await (await buy('/plain/x')).text()
    const other = await buy('/plain/y')
    expect([other.status, await codeOf(other)]).toEqual([409, 'payment_identifier_reused'])
    expect(readReceipt(other)).toBeNull()
    expect(await earned()).toBe(1_000n)
  })

  test('another payer is not met by it', async () => {
    await (await buy('/kept/x')).text()
    const other = privateKeyToAccount(generatePrivateKey())
    await world.chain.mint(other.address, 1_000n)
    const reply = await buy('/kept/x', { signer: other })
    expect(reply.headers.get('farebox-replayed')).toBeNull()
    expect(await reply.text()).toBe('content')
    expect(seen).toHaveLength(2)
  })

  test('a forged signature learns nothing of it, used or not', async () => {
    await (await buy('/kept/x')).text()
    const forger = privateKeyToAccount(generatePrivateKey())
    const forge = (named: string) =>
      buy('/kept/x', { signer: forger, authorization: { from: buyer.address } }, named)
    const [used, unused] = [await forge(id), await forge(generatePaymentId())]
    expect([used.status, unused.status]).toEqual([402, 402])
    expect(await codeOf(used)).toBe(await codeOf(unused))
    expect(readReceipt(used)).toBeNull()
    expect(seen).toHaveLength(1)
  })

  test('a forged signature does not take it away from its payer', async () => {
    const forger = privateKeyToAccount(generatePrivateKey())
    await buy('/plain/x', { signer: forger, authorization: { from: buyer.address } })
    expect(await (await buy('/plain/x')).text()).toBe('content')
  })

  test.each(['short', 'x'.repeat(129), 'with spaces in it!!', 7, null, { id: 1 }])(
    '%j is malformed',
    async bad => {
      const url = `${gateway.url}/plain/x`
      const refused = await pay(url, withIdentifier(await signFor(world.chain, url), bad))
      expect([refused.status, await codeOf(refused)]).toEqual([400, 'malformed_payment'])
    },
  )

  test('none at all is refused where one is required, and version 1 cannot have one', async () => {
    const url = `${gateway.url}/named/x`
    const payment = await signFor(world.chain, url)
    const refused = await pay(url, payment)
    expect([refused.status, await codeOf(refused)]).toEqual([400, 'payment_identifier_required'])
    const { payload } = JSON.parse(Buffer.from(payment, 'base64').toString())
    const inV1 = { x402Version: 1, scheme: 'exact', network: 'base-sepolia', payload }
    const header = Buffer.from(JSON.stringify(inV1)).toString('base64')
    const paid = await fetch(url, { headers: { 'X-PAYMENT': header } })
    expect(await paid.text()).toBe('content')
  })
})
