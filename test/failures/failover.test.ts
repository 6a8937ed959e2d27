import { bytesToHex, type Hex } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { type ReferenceFacilitator, startFacilitator } from '../support/facilitator.ts'
import {
  afterTheWork,
  answers,
  cutOff,
  type Fault,
  type FaultyFacilitator,
  hang,
  leaves,
  resetRead,
  startFaultyFacilitator,
  tells,
  trickles,
} from '../support/faulty-facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, signFor } from '../support/payments.ts'

/**
 * Two real facilitators on one chain, of which the first goes wrong: who was asked how often, what
 * the client got, and whether the money moved, once or not at all.
 */

let world: World
let other: ReferenceFacilitator

beforeAll(async () => {
  world = await startWorld()
  other = await startFacilitator({ chain: world.chain })
  await world.chain.mint(buyer.address, 1_000_000_000n)
})

afterAll(async () => {
  await other.close()
  await world.close()
})

interface Settings {
  readonly timeout?: string
  readonly settleTimeout?: string
  readonly concurrency?: number
  readonly top?: string
}

/** A gateway with both facilitators, and a seller whom nobody else pays. */
interface Shop extends AsyncDisposable {
  readonly url: string
  readonly first: FaultyFacilitator
  readonly second: FaultyFacilitator
  earned(): Promise<bigint>
  /** "verify settle" calls of each. */
  askedAbout(nonce: Hex): string[]
}

async function openShop(settings: Settings = {}): Promise<Shop> {
  await using opened = new AsyncDisposableStack()
  const first = await startFaultyFacilitator(world.facilitator)
  opened.defer(() => first.close())
  const second = await startFaultyFacilitator(other)
  opened.defer(() => second.close())
  const seller = privateKeyToAccount(generatePrivateKey()).address
  const gateway = opened.use(await startTestGateway(yamlOf({ first, second, seller }, settings)))
  await Promise.all([knows(gateway, first), knows(gateway, second)])
  const running = opened.move()
  return {
    url: gateway.url,
    first,
    second,
    earned: () => world.chain.balanceOf(seller),
    askedAbout: nonce =>
      [first, second].map(one => `${one.asked('verify', nonce)} ${one.asked('settle', nonce)}`),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

function yamlOf(
  { first, second, seller: payTo }: Pick<Shop, 'first' | 'second'> & { readonly seller: Hex },
  settings: Settings,
): string {
  const { timeout = '20s', settleTimeout = '20s', concurrency = 16, top = '' } = settings
  const waits = `timeout: ${timeout}, settleTimeout: ${settleTimeout}, concurrency: ${concurrency}`
  const routes = '  GET /v1/weather/vienna: {price: $0.001, settle: before-upstream}'
  const facilitators = `{url: "${first.url}", ${waits}}, "${second.url}"`
  return weatherYaml({ facilitator: first, api: world.api }, { routes, top })
    .replace(`"${first.url}"`, facilitators)
    .replace(seller.address, payTo)
}

/** Once nothing is amiss, both have said what they support, at the latest when asked again. */
async function knows({ adminUrl }: TestGateway, { url }: FaultyFacilitator): Promise<void> {
  const { host } = new URL(url)
  const isKnown = async () => !(await (await fetch(`${adminUrl}/readyz`)).text()).includes(host)
  // Unlike `expect.poll` it belongs to no test, of which several run at once.
  await vi.waitUntil(isKnown, { interval: 10, timeout: 10_000 })
}

const newNonce = (): Hex => bytesToHex(crypto.getRandomValues(new Uint8Array(32)))

async function sign(url: string): Promise<{ payment: string; nonce: Hex }> {
  const nonce = newNonce()
  return { payment: await signFor(world.chain, url, { authorization: { nonce } }), nonce }
}

/** The client's answer, in a word or two. */
async function describeReply(reply: Response): Promise<string> {
  const text = await reply.clone().text()
  return text.includes('temperatureCelsius') ? 'content' : `${reply.status} ${await codeOf(reply)}`
}

const SETTLED = { success: true, transaction: `0x${'ab'.repeat(32)}`, network: 'eip155:84532' }
const REFUSED = { ...SETTLED, success: false, transaction: '' }
const VALID = { isValid: true, payer: buyer.address }

interface Row {
  readonly name: string
  readonly operation: 'verify' | 'settle'
  readonly fault: Fault
  readonly settings?: Settings
  /** "verify settle" calls of each. */
  readonly asked: readonly [first: string, second: string]
  readonly client: string
  /** Atomic units. */
  readonly moved: bigint
}

const SHORT = '300ms'
/** The first was asked, gave no verdict, and is not asked to settle either. */
const VERIFY_MOVED = { operation: 'verify', asked: ['1 0', '1 1'], client: 'content' } as const
const SETTLE_MOVED = { operation: 'settle', asked: ['1 1', '0 1'], client: 'content' } as const
const STAYED_UNKNOWN = {
  operation: 'settle',
  asked: ['1 1', '0 0'],
  client: '503 settlement_pending',
} as const
const PRICE = 1_000n

const verifyMoves: readonly [name: string, fault: Fault, settings?: Settings][] = [
  ['hangs', hang, { timeout: SHORT }],
  ['trickles its answer', trickles(VALID, 50), { timeout: SHORT }],
  ['resets the connection', resetRead],
  ['cuts its answer off', cutOff(VALID)],
  ['does its work and loses the answer', afterTheWork(resetRead)],
  ['answers 500', answers(500, { error: 'boom' })],
  ['answers 500 with a good body', answers(500, VALID)],
  ['answers 502 with a page', answers(502, '<html>')],
  ['answers 503 and asks to wait', answers(503, {}, { 'retry-after': '7' })],
  ['answers 429 and asks to wait', answers(429, {}, { 'retry-after': '7' })],
  ['answers 429 with a refusal', answers(429, { isValid: false, invalidReason: 'slow down' })],
  ['answers 401', answers(401, { error: 'who?' })],
  ['answers 403', answers(403, { error: 'no' })],
  ['answers 404', answers(404, 'Not found')],
  ['redirects', answers(307, '', { location: 'http://127.0.0.1:1/verify' })],
  ['answers nonsense', answers(200, { valid: 'yes' })],
]

const settleMoves: readonly [name: string, fault: Fault][] = [
  ['answers 429 and asks to wait', answers(429, {}, { 'retry-after': '7' })],
  ['answers 429 with a failure', answers(429, { ...REFUSED, errorReason: 'slow_down' })],
  ['answers 401', answers(401, { error: 'who?' })],
  ['answers 403', answers(403, { error: 'no' })],
  ['answers 404', answers(404, 'Not found')],
]

const settleStays: readonly [name: string, fault: Fault, moved: bigint, settings?: Settings][] = [
  ['hangs', hang, 0n, { settleTimeout: SHORT }],
  ['trickles its answer', trickles(SETTLED, 50), 0n, { settleTimeout: SHORT }],
  ['resets the connection', resetRead, 0n],
  ['does its work and loses the answer', afterTheWork(resetRead), PRICE],
  ['does its work and answers 500', afterTheWork(answers(500, {})), PRICE],
  ['answers 500', answers(500, { error: 'boom' }), 0n],
  ['answers 503 and asks to wait', answers(503, {}, { 'retry-after': '7' }), 0n],
  ['answers 429 with a success', answers(429, SETTLED), 0n],
  ['answers 403 with a success', answers(403, SETTLED), 0n],
  ['answers nonsense', answers(200, { settled: 'yes' }), 0n],
  ['is pending', tells(good => ({ ...good, success: false, errorReason: 'pending' })), PRICE],
  ['fails without a reason', answers(200, REFUSED), 0n],
]

const rows: readonly Row[] = [
  ...verifyMoves.map(([name, fault, settings = {}]) => {
    return { ...VERIFY_MOVED, name, fault, settings, moved: PRICE }
  }),
  ...settleMoves.map(([name, fault]) => ({ ...SETTLE_MOVED, name, fault, moved: PRICE })),
  {
    name: 'does so and then goes away',
    operation: 'verify',
    fault: leaves,
    asked: ['1 0', '0 1'],
    client: 'content',
    moved: PRICE,
  },
  ...settleStays.map(([name, fault, moved, settings = {}]) => {
    return { ...STAYED_UNKNOWN, name, fault, settings, moved }
  }),
  {
    name: 'says that the payment is invalid',
    operation: 'verify',
    fault: answers(200, { isValid: false, invalidReason: 'fraud' }),
    asked: ['1 0', '0 0'],
    client: '402 fraud',
    moved: 0n,
  },
  {
    name: 'says so with status 400',
    operation: 'verify',
    fault: answers(400, { isValid: false, invalidReason: 'fraud' }),
    asked: ['1 0', '0 0'],
    client: '402 fraud',
    moved: 0n,
  },
  {
    name: 'refuses before it sends',
    operation: 'settle',
    fault: answers(200, { ...REFUSED, errorReason: 'insufficient_funds' }),
    asked: ['1 1', '0 0'],
    client: '402 insufficient_funds',
    moved: 0n,
  },
  {
    name: 'works',
    operation: 'verify',
    fault: tells(good => good),
    asked: ['1 1', '0 0'],
    client: 'content',
    moved: PRICE,
  },
]

// Most of their time they wait, each for its own gateway.
describe.concurrent.each([
  ['on-response', 'paris', rows],
  ['before-upstream', 'vienna', rows.filter(({ operation }) => operation === 'settle')],
])('settle: %s', (_, city, ofMode) => {
  test.each(ofMode)('the first, asked to $operation, $name', async row => {
    await using shop = await openShop(row.settings)
    const url = `${shop.url}/v1/weather/${city}`
    const { payment, nonce } = await sign(url)
    shop.first.breakFor({ nonce }, row.operation, row.fault)
    const reply = await pay(url, payment)
    expect({
      client: await describeReply(reply),
      asked: shop.askedAbout(nonce),
      moved: await shop.earned(),
    }).toEqual({ client: row.client, asked: row.asked, moved: row.moved })

    // Whatever comes later: the payment never moves money a second time.
    shop.first.repair()
    const again = await describeReply(await pay(url, payment))
    expect(again).not.toBe('402 payment_required')
    expect(await shop.earned()).toBeLessThanOrEqual(PRICE)
  })
})

describe('a facilitator that is down', () => {
  test('costs nobody a payment', async () => {
    await using shop = await openShop()
    const url = `${shop.url}/v1/weather/paris`
    await shop.first.close()
    for (let time = 0; time < 5; time++) {
      const { payment, nonce } = await sign(url)
      expect(await describeReply(await pay(url, payment))).toBe('content')
      expect(shop.askedAbout(nonce)).toEqual(['0 0', '1 1'])
    }
    expect(await shop.earned()).toBe(5n * PRICE)
  })

  test('and the other one, too: nothing is sent, and the client is told when to return', async () => {
    await using shop = await openShop()
    const url = `${shop.url}/v1/weather/paris`
    world.api.requests.length = 0
    const { payment } = await sign(url)
    await Promise.all([shop.first.close(), shop.second.close()])
    const reply = await pay(url, payment)
    expect(await describeReply(reply)).toBe('503 facilitator_unavailable')
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await fetch(url)).status).toBe(402)
    expect(world.api.requests).toEqual([])
  })
})

test('a facilitator that rests as it asked to is not asked before, and is asked after', async () => {
  await using shop = await openShop()
  const url = `${shop.url}/v1/weather/paris`
  const limited = await sign(url)
  shop.first.breakFor(limited, 'verify', answers(429, {}, { 'retry-after': '1' }))
  await pay(url, limited.payment)
  const meanwhile = await sign(url)
  await pay(url, meanwhile.payment)
  expect(shop.askedAbout(meanwhile.nonce)).toEqual(['0 0', '1 1'])
  await expect
    .poll(
      async () => {
        const { payment, nonce } = await sign(url)
        await pay(url, payment)
        return shop.askedAbout(nonce)
      },
      { timeout: 5_000, interval: 100 },
    )
    .toEqual(['1 1', '0 0'])
})

test('a facilitator that is full is passed over, and nobody waits for it', async () => {
  await using shop = await openShop({ concurrency: 1 })
  const { first } = shop
  const url = `${shop.url}/v1/weather/paris`
  const slow = await sign(url)
  const release = Promise.withResolvers<void>()
  first.breakFor(slow, 'settle', async ({ response, relay }) => {
    await release.promise
    const { status, text } = await relay()
    response.writeHead(status).end(text)
  })
  const waiting = pay(url, slow.payment)
  await expect.poll(() => first.asked('settle', slow.nonce), { interval: 5 }).toBe(1)
  const { payment, nonce } = await sign(url)
  expect(await describeReply(await pay(url, payment))).toBe('content')
  expect(shop.askedAbout(nonce)).toEqual(['0 0', '1 1'])
  release.resolve()
  expect(await describeReply(await waiting)).toBe('content')
  expect(await shop.earned()).toBe(2n * PRICE)
})

test('a lost settle that the chain calls unused is sent again, to the other one, byte for byte', async () => {
  const top = `networks: {base-sepolia: {rpc: ["${world.chain.rpcUrl}"], finality: 2}}`
  await using shop = await openShop({ top })
  const url = `${shop.url}/v1/weather/paris`
  const { payment, nonce } = await sign(url)
  shop.first.breakFor({ nonce }, 'settle', resetRead)
  expect(await describeReply(await pay(url, payment))).toBe('503 settlement_pending')
  await expect.poll(async () => describeReply(await pay(url, payment))).toBe('content')
  expect(shop.askedAbout(nonce)).toEqual(['1 1', '0 1'])
  expect(await shop.earned()).toBe(PRICE)
  const sent = JSON.stringify(other.calls.settle.at(-1))
  expect(sent).toBe(JSON.stringify(world.facilitator.calls.verify.at(-1)))
})
