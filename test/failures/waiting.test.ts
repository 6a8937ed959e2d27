import { createTestClient, http } from 'viem'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import type { Answer, Intercept } from '../support/facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, readRows, signFor } from '../support/payments.ts'

/** What the facilitator does instead of its next settle. */
let fault: ((next: () => Promise<Answer>) => Promise<Answer>) | null = null
const intercept: Intercept = (operation, next) => {
  const due = operation === 'settle' ? fault : null
  if (due !== null) fault = null
  return due?.(next) ?? next()
}

const AT_ONCE = { headers: { prefer: 'wait=0' } }
const PATIENT = { headers: { prefer: 'wait=20' } }

let world: World
let control: ReturnType<typeof controlOf>
let gateway: TestGateway
let url: string

const controlOf = (rpcUrl: string) => createTestClient({ mode: 'anvil', transport: http(rpcUrl) })

beforeAll(async () => {
  world = await startWorld({ intercept, confirmationTimeoutMs: 300 })
  control = controlOf(world.chain.rpcUrl)
})
afterAll(() => world.close())

const start = ({ rpc }: { rpc: boolean }) => {
  const networks = `networks: {base-sepolia: {rpc: ["${world.chain.rpcUrl}"], finality: 2}}`
  const server = 'publicUrl: "https://shop.example", hosts: ["*"]'
  return startTestGateway(weatherYaml(world, { server, top: rpc ? networks : '' }))
}

beforeEach(async () => {
  fault = null
  await world.startCounting()
  gateway = await start({ rpc: true })
  url = `${gateway.url}/v1/weather/paris`
})
afterEach(async () => {
  await control.setAutomine(true)
  await gateway.close()
})

const rows = () => readRows(gateway.storeFile)

/** A payment that the facilitator has sent, and that no block has taken yet. */
async function leavePending(): Promise<string> {
  const payment = await signFor(world.chain, url)
  await control.setAutomine(false)
  const pending = await pay(url, payment)
  expect([pending.status, await codeOf(pending)]).toEqual([503, 'settlement_pending'])
  return payment
}

/** Until a request that waits has the payment to itself. */
const untilItWaits = (payment: string) =>
  expect.poll(async () => codeOf(await pay(url, payment, AT_ONCE))).toBe('payment_in_progress')

test('the same payment sent again gets its content as soon as the money has moved', async () => {
  const payment = await leavePending()
  const again = pay(url, payment, PATIENT)
  await untilItWaits(payment)
  await control.setAutomine(true)
  await control.mine({ blocks: 1 })
  const reply = await again
  expect(reply.status).toBe(200)
  expect(await reply.text()).toContain('temperatureCelsius')
  expect(readReceipt(reply)).toMatchObject({ success: true })
  expect(await world.earned()).toBe(1_000n)
  await expect.poll(rows).toMatchObject([{ state: 'delivered' }])
})

test('of two that wait for one payment, one is told to come back', async () => {
  const payment = await leavePending()
  const first = pay(url, payment, PATIENT)
  await untilItWaits(payment)
  const second = await pay(url, payment, PATIENT)
  expect([second.status, await codeOf(second)]).toEqual([409, 'payment_in_progress'])
  expect(second.headers.get('retry-after')).toBe('1')
  await control.setAutomine(true)
  await control.mine({ blocks: 1 })
  expect((await first).status).toBe(200)
  expect(await world.earned()).toBe(1_000n)
})

test('a client that asks not to wait, or has waited long enough, is told to come back', async () => {
  const payment = await leavePending()
  for (const prefer of ['wait=0', 'wait=1']) {
    const began = performance.now()
    const reply = await pay(url, payment, { headers: { prefer } })
    expect([reply.status, await codeOf(reply)]).toEqual([503, 'settlement_pending'])
    expect(performance.now() - began).toBeGreaterThan(prefer === 'wait=1' ? 900 : 0)
    expect(reply.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(readReceipt(reply)).toMatchObject({ success: false, errorReason: 'settlement_pending' })
  }
})

test('a client that leaves while it waits leaves its payment to whoever comes next', async () => {
  const payment = await leavePending()
  const leaving = new AbortController()
  const left = pay(url, payment, { ...PATIENT, signal: leaving.signal }).catch(() => 'left')
  await untilItWaits(payment)
  leaving.abort()
  expect(await left).toBe('left')
  const isLogged = () =>
    gateway.logs.some(({ outcome }) => outcome === 'settlement_pending_aborted')
  await expect.poll(isLogged).toBe(true)
  await control.setAutomine(true)
  await control.mine({ blocks: 1 })
  expect((await pay(url, payment, PATIENT)).status).toBe(200)
  expect(await world.earned()).toBe(1_000n)
})

test('a payment that turns out never to land is refused with 402, and not before', async () => {
  const snapshot = await control.snapshot()
  const payment = await signFor(world.chain, url)
  const refuse = async (): Promise<Answer> => 'hang-up'
  fault = refuse
  expect((await pay(url, payment)).status).toBe(503)
  fault = refuse
  await control.increaseTime({ seconds: 300 })
  await control.mine({ blocks: 1 })
  const again = pay(url, payment, PATIENT)
  await untilItWaits(payment)
  await control.mine({ blocks: 2 })
  expect((await again).status).toBe(402)
  expect(rows()).toMatchObject([{ state: 'released' }])
  expect(await world.earned()).toBe(0n)
  await control.revert({ id: snapshot })
})

test('what another gateway on the same store finds out counts as well', async () => {
  await gateway.close()
  gateway = await start({ rpc: false })
  url = `${gateway.url}/v1/weather/paris`
  const payment = await signFor(world.chain, url)
  const answers: Answer[] = []
  fault = async next => {
    answers.push(await next())
    return 'hang-up'
  }
  expect((await pay(url, payment)).status).toBe(503)
  const again = pay(url, payment, PATIENT)
  await untilItWaits(payment)

  const other = await openSqliteLedger({ path: gateway.storeFile })
  const [row] = await other.list({ limit: 1 })
  const [answer] = answers
  if (row === undefined || !answer || answer === 'hang-up')
    return expect.unreachable('Nothing was settled.')
  const { network, payer, amount, id } = row
  const transaction = (answer.body as { transaction: string }).transaction // of the reference facilitator
  await other.markSettled(id, { transaction, network, payer, amount })
  await other.endHold(id)
  const reply = await again
  expect(reply.status).toBe(200)
  expect(readReceipt(reply)).toMatchObject({ success: true, transaction })
  await other.close()
  expect(await world.earned()).toBe(1_000n)
})

test('a gateway that stops does not wait with its clients', async () => {
  const payment = await leavePending()
  const again = pay(url, payment, PATIENT)
  await untilItWaits(payment)
  const began = performance.now()
  await gateway.close()
  const reply = await again
  expect([reply.status, await codeOf(reply)]).toEqual([503, 'settlement_pending'])
  expect(performance.now() - began).toBeLessThan(10_000)
})
