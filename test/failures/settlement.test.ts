import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import {
  type Answer,
  type Intercept,
  type Operation,
  startFacilitator,
} from '../support/facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, readRows, signFor } from '../support/payments.ts'

/** What the facilitator does instead of its work, by operation. */
let fault: Partial<Record<Operation, (next: () => Promise<Answer>) => Promise<Answer>>> = {}
const intercept: Intercept = (operation, next) => fault[operation]?.(next) ?? next()

let world: World
let gateway: TestGateway
let url: string

beforeAll(async () => {
  world = await startWorld({ intercept })
})

afterAll(() => world.close())

beforeEach(async () => {
  fault = {}
  world.api.requests.length = 0
  world.facilitator.calls.verify.length = 0
  world.facilitator.calls.settle.length = 0
  await world.startCounting()
  gateway = await startTestGateway(weatherYaml(world))
  url = `${gateway.url}/v1/weather/paris`
})

afterEach(() => gateway.close())

describe('a settle whose fate is not known', () => {
  test('is answered 503 and withholds the content, and the payment is never asked for again', async () => {
    const payment = await signFor(world.chain, url)
    // The money moves, and the answer is lost.
    fault = {
      settle: async next => {
        await next()
        return 'hang-up'
      },
    }
    const first = await pay(url, payment)
    expect(first.status).toBe(503)
    expect(first.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(readReceipt(first)).toMatchObject({ success: false, errorReason: 'settlement_pending' })
    const body = await first.text()
    expect(body).not.toContain('temperatureCelsius')
    expect(JSON.parse(body).code).toBe('settlement_pending')
    expect(gateway.states()).toEqual(['unknown'])
    expect(await world.earned()).toBe(1_000n)

    // Not even when it has become too late to settle it, or the price has changed since.
    fault = {}
    await gateway.write(weatherYaml(world).replace('$0.001', '$0.002'))
    await gateway.reload()
    const again = await pay(url, payment, { headers: { prefer: 'wait=0' } })
    expect(again.status).toBe(503)
    expect(await codeOf(again)).toBe('settlement_pending')
    expect(await world.earned()).toBe(1_000n)
    expect(world.api.requests).toHaveLength(1)
  })

  test.each<[string, Answer]>([
    ['a 500', { status: 500, body: { error: 'boom' } }],
    ['success without a transaction', { status: 200, body: { success: true, network: 'x' } }],
    ['an answer without success', { status: 200, body: { transaction: '0xabc' } }],
    ['success as a string', { status: 200, body: { success: 'true', transaction: '0xabc' } }],
    [
      'settlement_pending',
      {
        status: 200,
        body: {
          success: false,
          errorReason: 'settlement_pending',
          transaction: '0xabc',
          network: 'eip155:84532',
        },
      },
    ],
    [
      'a failure that may come after sending',
      {
        status: 200,
        body: {
          success: false,
          errorReason: 'unexpected_settle_error',
          transaction: '',
          network: 'eip155:84532',
        },
      },
    ],
  ])('after %s is unknown, and settled no second time', async (_name, answer) => {
    const payment = await signFor(world.chain, url)
    fault = { settle: async () => answer }
    const reply = await pay(url, payment)
    expect([reply.status, await codeOf(reply)]).toEqual([503, 'settlement_pending'])
    expect(gateway.states()).toEqual(['unknown'])
    expect(world.facilitator.calls.settle).toHaveLength(1)
  })
})

describe('a settle that is known to have failed', () => {
  test('is answered 402 with the reason, and frees the payment', async () => {
    const payment = await signFor(world.chain, url)
    const refusal = {
      success: false,
      errorReason: 'insufficient_funds',
      transaction: '',
      network: 'eip155:84532',
    }
    fault = { settle: async () => ({ status: 200, body: refusal }) }
    const refused = await pay(url, payment)
    expect(refused.status).toBe(402)
    expect(readReceipt(refused)).toMatchObject({
      success: false,
      errorReason: 'insufficient_funds',
    })
    expect(await codeOf(refused)).toBe('insufficient_funds')
    expect(gateway.states()).toEqual(['released'])

    fault = {}
    const paid = await pay(url, payment)
    expect(paid.status).toBe(200)
    expect(await world.earned()).toBe(1_000n)
  })

  test('because the facilitator cannot be reached any more costs nothing', async () => {
    const facilitator = await startFacilitator({ chain: world.chain })
    // An upstream during whose work the facilitator goes away.
    const server = createServer((_request, response) => {
      void facilitator.close().then(() => response.end('done'))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const api = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    await using own = await startTestGateway(weatherYaml({ facilitator, api }))
    const target = `${own.url}/v1/weather/paris`
    const reply = await pay(target, await signFor(world.chain, target))
    expect([reply.status, await codeOf(reply)]).toEqual([503, 'facilitator_unavailable'])
    expect(readRows(own.storeFile).map(({ state }) => state)).toEqual(['released'])
    server.close()
  })
})

describe('verification', () => {
  test.each<[string, Answer]>([
    ['hangs up', 'hang-up'],
    ['answers 500', { status: 500, body: { isValid: true } }],
    ['answers isValid as a string', { status: 200, body: { isValid: 'true' } }],
    ['redirects', { status: 307, headers: { location: 'http://127.0.0.1:1/' }, body: {} }],
  ])('that %s is 503 and nothing is served', async (_name, answer) => {
    const payment = await signFor(world.chain, url)
    fault = { verify: async () => answer }
    const reply = await pay(url, payment)
    expect([reply.status, await codeOf(reply)]).toEqual([503, 'facilitator_unavailable'])
    expect(world.api.requests).toHaveLength(0)
    expect(gateway.states()).toEqual([])
  })

  test('by a facilitator that lies does not let an underpayment through', async () => {
    fault = { verify: async () => ({ status: 200, body: { isValid: true } }) }
    const payment = await signFor(world.chain, url, { authorization: { value: 999n } })
    const reply = await pay(url, payment)
    expect(reply.status).toBe(402)
    expect(await codeOf(reply)).toBe('invalid_exact_evm_payload_authorization_value')
    expect(world.facilitator.calls.verify).toHaveLength(0)
  })
})

describe('a facilitator that is down at the start', () => {
  test('leaves priced routes at 503 and free ones up, and is found when it comes', async () => {
    let up = false
    fault = { supported: next => (up ? next() : Promise.resolve('hang-up' as const)) }
    await using late = await startTestGateway(weatherYaml(world))
    const priced = await fetch(`${late.url}/v1/weather/paris`)
    expect([priced.status, await codeOf(priced)]).toEqual([503, 'facilitator_unavailable'])
    expect((await fetch(`${late.url}/health`)).status).toBe(200)
    up = true
    await expect.poll(async () => (await fetch(`${late.url}/v1/weather/paris`)).status).toBe(402)
  })
})

describe('a smart wallet', () => {
  test('pays with a signature that only the chain can check', async () => {
    const wallet = '0x00000000000000000000000000000000000a11e7'
    await world.chain.deployWallet(wallet, buyer.address)
    await world.chain.mint(wallet, 1_000_000n)
    const payment = await signFor(world.chain, url, { authorization: { from: wallet } })
    const paid = await pay(url, payment)
    expect(paid.status).toBe(200)
    expect(await world.chain.balanceOf(wallet)).toBe(999_000n)
  })

  test('made up by the thousand reaches the facilitator only within a budget', async () => {
    const forged = await Promise.all(
      Array.from({ length: 60 }, () =>
        signFor(world.chain, url, { authorization: { from: seller.address } }),
      ),
    )
    const replies = await Promise.all(forged.map(payment => pay(url, payment)))
    const codes = await Promise.all(replies.map(codeOf))
    expect(codes.filter(code => code === 'verification_budget_spent').length).toBeGreaterThan(25)
    expect(world.facilitator.calls.verify.length).toBeLessThan(35)
    expect(replies.every(({ status }) => status === 402 || status === 429)).toBe(true)
  })
})
