import { DatabaseSync } from 'node:sqlite'
import { bytesToHex, type Hex } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { buyer } from '../support/accounts.ts'
import {
  type FaultyFacilitator,
  leaves,
  resetUnread,
  startFaultyFacilitator,
} from '../support/faulty-facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, signFor } from '../support/payments.ts'
import {
  answerWith,
  type StubFacilitator,
  startStubFacilitator,
} from '../support/stub-facilitator.ts'
import { testDollarAbi } from '../support/token/abi.ts'
import { NOT_SENT, type Row } from './facilitator-fault-outcomes.ts'
import {
  believedRows,
  PRICE,
  SETTLED,
  settleRows,
  surroundings,
  VALID,
  verifyRows,
} from './facilitator-fault-table.ts'

/** How long a gateway waits in the rows of a facilitator that never ends. */
const SHORT = '400ms'
const CONTENT = 'temperatureCelsius'

let world: World
let facilitator: FaultyFacilitator
let elsewhere: StubFacilitator
const gateways: Partial<Record<'patient' | 'verify' | 'settle', TestGateway>> = {}

beforeAll(async () => {
  world = await startWorld()
  facilitator = await startFaultyFacilitator(world.facilitator)
  elsewhere = await startStubFacilitator(answerWith({ ...VALID, ...SETTLED }))
  surroundings.elsewhere = elsewhere.url
  gateways.patient = await startTestGateway(yaml({}))
  gateways.verify = await startTestGateway(yaml({ timeout: SHORT }))
  gateways.settle = await startTestGateway(yaml({ settleTimeout: SHORT }))
  surroundings.strangersTransaction = await payAsStranger(gateways.patient)
})

afterAll(async () => {
  await Promise.all(Object.values(gateways).map(gateway => gateway.close()))
  await Promise.all([facilitator.close(), elsewhere.close()])
  await world.close()
})

afterEach(() => facilitator.repair())

function yaml(waits: { timeout?: string; settleTimeout?: string }, asker = 'nobody'): string {
  const { timeout = '20s', settleTimeout = '20s' } = waits
  const entry = `url: "${facilitator.url}", timeout: ${timeout}, settleTimeout: ${settleTimeout}`
  const routes = '  GET /v1/weather/vienna: {price: $0.001, settle: before-upstream}'
  return weatherYaml({ facilitator, api: world.api }, { routes }).replace(
    `"${facilitator.url}"`,
    `{${entry}, headers: {x-asker: "${asker}"}}`,
  )
}

async function payAsStranger(gateway: TestGateway): Promise<string> {
  const url = `${gateway.url}/v1/weather/oslo`
  const receipt = readReceipt(await pay(url, await signFor(world.chain, url)))
  return receipt?.transaction ?? ''
}

const MODES = [
  { mode: 'on-response', city: 'paris', column: 0 },
  { mode: 'before-upstream', city: 'vienna', column: 1 },
] as const

describe.each(MODES)('settle: $mode', ({ city, column }) => {
  test.each(verifyRows)('a facilitator that, asked to verify, $name', row =>
    check('verify', row, { city, column }),
  )

  test.each(settleRows)('a facilitator that, asked to settle, $name', row =>
    check('settle', row, { city, column }),
  )

  test.each(believedRows)('is believed without a chain: a facilitator that $name', row =>
    check('settle', row, { city, column }),
  )
})

test.each(MODES)('a facilitator that goes away after it verified: settle $mode', async mode => {
  const leaving = await startFaultyFacilitator(world.facilitator)
  await using gateway = await startTestGateway(yaml({}).replace(facilitator.url, leaving.url))
  const nonce = newNonce()
  const url = `${gateway.url}/v1/weather/${mode.city}?for=${nonce}`
  const payment = await signFor(world.chain, url, { authorization: { nonce } })
  leaving.breakFor({ nonce }, 'verify', leaves)
  const observed = await observe(await pay(url, payment), { gateway, nonce, payer: buyer.address })
  const { again: _, upstream, ...expected } = { ...NOTHING, ...NOT_SENT, asked: [0, 0] }
  expect(observed).toEqual({ ...expected, upstream: upstream[mode.column] })
  expect([leaving.asked('verify', nonce), leaving.asked('settle', nonce)]).toEqual([1, 0])
})

test('no redirect took a payment elsewhere', () => {
  expect(elsewhere.requests).toEqual([])
})

/** Pays once with the fault and once without, and compares all that could be seen. */
async function check(
  operation: 'verify' | 'settle',
  { fault, seen, endless, rests, value = PRICE, signer = () => buyer }: Row,
  mode: { readonly city: string; readonly column: 0 | 1 },
): Promise<void> {
  const nonce = newNonce()
  // Of a gateway with other payments in the air, an unread request could be any of theirs.
  const needsOwn = fault === resetUnread || rests
  await using own = needsOwn ? await startTestGateway(yaml({}, nonce)) : null
  const gateway = own ?? gateways[endless ? operation : 'patient'] ?? expect.unreachable()
  const url = `${gateway.url}/v1/weather/${mode.city}?for=${nonce}`
  const payer = signer()
  const about = { gateway, nonce, payer: payer.address }
  const payment = await signFor(world.chain, url, {
    signer: payer,
    authorization: { value, nonce },
  })
  facilitator.breakFor({ nonce, asker: nonce }, operation, fault)
  const observed = await observe(await pay(url, payment), about)
  facilitator.repair()
  const { again: afterwards, ...expected } = { ...NOTHING, ...seen }
  expect(observed).toEqual({ ...expected, upstream: seen.upstream[mode.column] })

  const atOnce = { headers: { prefer: 'wait=0' } }
  const again = await describeReply(await pay(url, payment, atOnce))
  if (afterwards instanceof RegExp) expect(again).toMatch(afterwards)
  else if (afterwards === 'gets its content') expect(again).toBe('200 content')
  // The resolver may have found out meanwhile.
  else expect(again).toMatch(/^(503 settlement_pending|200 content)$/)
  if (again === '200 content') {
    expect(await hasMoved(about)).toBe(true)
    expect(['settled', 'delivered']).toContain(stateOf(about))
  }
  // One row must not take the facilitator down for the next: only a success makes up for it.
  if (own === null) await payAsStranger(gateway)
}

/** What is not seen unless a row says so. */
const NOTHING = { retryAfter: null, header: null, row: null }

function newNonce(): Hex {
  return bytesToHex(crypto.getRandomValues(new Uint8Array(32)))
}

interface Paid {
  readonly gateway: TestGateway
  readonly nonce: Hex
  readonly payer: Hex
}

async function observe(reply: Response, about: Paid) {
  const { nonce } = about
  const receipt = readReceipt(reply)
  const client = await describeReply(reply)
  // Its last state is written when the client has everything already.
  await expect.poll(() => stateOf(about)).not.toBe('settled')
  return {
    client,
    retryAfter: reply.headers.get('retry-after'),
    header: receipt?.success ? 'settled' : (receipt?.errorReason ?? null),
    upstream: world.api.requests.filter(({ url }) => url.includes(nonce)).length,
    row: stateOf(about),
    asked: [facilitator.asked('verify', nonce), facilitator.asked('settle', nonce)],
    moved: await hasMoved(about),
  }
}

/** Reads the whole answer. Whatever its status is, content in it counts. */
async function describeReply(reply: Response): Promise<string> {
  const text = await reply.clone().text()
  return `${reply.status} ${text.includes(CONTENT) ? 'content' : await codeOf(reply)}`
}

/** Null when the payment has no row. */
function stateOf({ gateway, nonce }: Paid): string | null {
  using database = new DatabaseSync(gateway.storeFile, { readOnly: true })
  const row = database
    .prepare('SELECT state FROM claims WHERE instr(lower(payment_key), ?) > 0')
    .get(nonce.toLowerCase())
  return row === undefined ? null : String(row['state'])
}

function hasMoved({ payer, nonce }: Paid): Promise<boolean> {
  return world.chain.publicClient.readContract({
    address: world.chain.token,
    abi: testDollarAbi,
    functionName: 'authorizationState',
    args: [payer, nonce],
  })
}
