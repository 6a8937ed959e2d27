import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import type { Answer } from '../support/facilitator.ts'
import { startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { type LocalServer, serveLocally } from '../support/json-server.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { codeOf, pay, readReceipt, signFor } from '../support/payments.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'

const CONTENT = 'what was paid for'
const PRICE = 1_000n

let world: World
let upstream: LocalServer
let postgres: TestPostgres
let folder: OwnFolder
let gateway: ChildGateway
let schemas = 0
let executions = 0
let isAway = false
/** What happens while the upstream works, and while the facilitator settles. */
let duringUpstream: () => Promise<void>
let duringSettle: (next: () => Promise<Answer>) => Promise<Answer>

beforeAll(async () => {
  world = await startWorld({
    intercept: (operation, next) => (operation === 'settle' ? duringSettle(next) : next()),
  })
  upstream = await serveLocally(async (_request, response) => {
    executions += 1
    await duringUpstream()
    response.end(CONTENT)
  })
  postgres = await startPostgres()
  await world.chain.mint(buyer.address, 1_000_000_000n)
}, 60_000)
afterAll(async () => {
  await Promise.all([world.close(), upstream.close(), postgres.close()])
})

beforeEach(() => {
  executions = 0
  duringUpstream = async () => undefined
  duringSettle = next => next()
})
afterEach(async () => {
  await gateway.kill()
  await comeBack()
  folder.remove()
})

async function goAway(): Promise<void> {
  isAway = true
  await postgres.stop()
}

async function comeBack(): Promise<void> {
  if (isAway) await postgres.start()
  isAway = false
}

const earned = (): Promise<bigint> => world.chain.balanceOf(seller.address)
const priced = (): string => `${gateway.url}/v1/weather/paris`

/** Starts a gateway on an empty schema. */
async function open({ absent = false } = {}): Promise<void> {
  schemas += 1
  const storeUrl = await postgres.createSchema(schema())
  const top = `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "${storeUrl}"}
networks: {base-sepolia: {rpc: ["${world.chain.rpcUrl}"], finality: 2}}`
  const routes = '  GET /up-front/{thing}: {price: $0.001, settle: before-upstream}'
  folder = ownFolder()
  folder.write(weatherYaml({ facilitator: world.facilitator, api: upstream }, { top, routes }))
  if (absent) await goAway()
  const started = await startChildGateway(folder.configFile)
  if (started.kind === 'ended') throw new Error(`Not started: ${started.stderr}`)
  gateway = started
}

const schema = (): string => `database_${schemas}`

async function states(): Promise<unknown[]> {
  const rows = await postgres.query(`SELECT state FROM ${schema()}.farebox_claims ORDER BY id`)
  return rows.map(({ state }) => state)
}

/** As if the time had passed for which a request that was cut off holds its payment. */
function letHoldsRunOut(): Promise<unknown> {
  return postgres.query(`UPDATE ${schema()}.farebox_claims SET held_until = 0`)
}

async function expectNothingSold(payment: string): Promise<void> {
  const served = executions
  const refused = await pay(priced(), payment)
  expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
  const text = await refused.text()
  expect([refused.status, JSON.parse(text).code]).toEqual([503, 'store_unavailable'])
  expect(text).not.toContain(CONTENT)
  expect(executions).toBe(served)
}

describe('a database that is absent at the start', () => {
  test('is waited for: priced routes say 503, free ones are served, and it is migrated when it comes', async () => {
    await open({ absent: true })
    const before = await earned()
    // The price can be told without a store; it is taken by none.
    const payment = await signFor(world.chain, priced())
    await expectNothingSold(payment)
    expect(await (await fetch(`${gateway.url}/health`)).text()).toBe(CONTENT)
    const unready = await fetch(`${gateway.adminUrl}/readyz`)
    expect([unready.status, await unready.text()]).toEqual([
      503,
      expect.stringContaining('the store does not work'),
    ])
    expect((await fetch(`${gateway.adminUrl}/healthz`)).status).toBe(200)
    expect(world.facilitator.calls.settle).toEqual([])

    await comeBack()
    await expect.poll(async () => (await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
    expect(await (await pay(priced(), payment)).text()).toBe(CONTENT)
    expect(await earned()).toBe(before + PRICE)
    await expect.poll(states).toEqual(['delivered'])
  }, 60_000)
})

describe('a database that is lost in the middle of a request', () => {
  test('while the upstream works: nothing is charged or given away, and the payment is good later', async () => {
    await open()
    const before = await earned()
    const payment = await signFor(world.chain, priced())
    duringUpstream = goAway
    const refused = await pay(priced(), payment)
    expect([refused.status, await codeOf(refused)]).toEqual([503, 'store_unavailable'])
    expect(await earned()).toBe(before)

    duringUpstream = async () => undefined
    await expectNothingSold(payment)
    await comeBack()
    await expect.poll(states).toEqual(['forwarded'])
    await letHoldsRunOut()
    await expect.poll(async () => (await pay(priced(), payment)).status).toBe(200)
    expect(await earned()).toBe(before + PRICE)
  }, 60_000)

  test.each([
    ['on-response', '/v1/weather/paris'],
    ['before-upstream', '/up-front/report'],
  ])(
    'while the money moves, %s: it is pending, and the same payment gets its content later',
    async (_, path) => {
      await open()
      const target = gateway.url + path
      const before = await earned()
      const payment = await signFor(world.chain, target)
      duringSettle = async next => {
        const settled = await next()
        await goAway()
        return settled
      }
      const pending = await pay(target, payment)
      expect(readReceipt(pending)).toMatchObject({
        success: false,
        errorReason: 'settlement_pending',
      })
      const text = await pending.text()
      expect([pending.status, JSON.parse(text).code]).toEqual([503, 'settlement_pending'])
      expect(text).not.toContain(CONTENT)

      duringSettle = next => next()
      await comeBack()
      await expect.poll(states).toEqual(['settling'])
      await letHoldsRunOut()
      await expect.poll(async () => (await pay(target, payment)).status).toBe(200)
      expect(await earned()).toBe(before + PRICE)
      await expect.poll(states).toEqual(['delivered'])
    },
    60_000,
  )
})
