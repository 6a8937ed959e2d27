import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { codeOf, pay, readChallenge, readRows, signFor } from '../support/payments.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { workersOf } from '../support/worker-processes.ts'

const PRICE = 1_000n

let world: World
let postgres: TestPostgres
const running: ChildGateway[] = []
const folders: OwnFolder[] = []

beforeAll(async () => {
  ;[world, postgres] = await Promise.all([startWorld({ eventIntervalMs: 100 }), startPostgres()])
  await world.chain.mint(buyer.address, 1_000_000_000n)
}, 90_000)
afterAll(async () => {
  await Promise.all([world.close(), postgres.close()])
})
beforeEach(() => {
  world.api.requests.length = 0
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(gateway => gateway.kill()))
  for (const folder of folders.splice(0)) folder.remove()
})

const earned = (): Promise<bigint> => world.chain.balanceOf(seller.address)

function yamlFor(storeUrl: string, server = ''): string {
  const top = `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "${storeUrl}"}
networks: {base-sepolia: {rpc: ["${world.chain.rpcUrl}"], finality: 2}}`
  // One name for all, so that a payment is for the same request wherever it is sent.
  return weatherYaml(world, {
    top,
    server: `publicUrl: "http://api.example.com", hosts: ["*"]${server}`,
  })
}

function newFolder(): OwnFolder {
  const folder = ownFolder()
  folders.push(folder)
  return folder
}

async function start(configFile: string): Promise<ChildGateway> {
  const gateway = await startChildGateway(configFile)
  if (gateway.kind === 'ended') throw new Error(`Not started: ${gateway.stderr}`)
  running.push(gateway)
  return gateway
}

/** One payment, sent a hundred times at once over all of them. */
async function expectSoldOnce(urls: readonly string[]): Promise<void> {
  const [first = ''] = urls
  const payment = await signFor(world.chain, first)
  const before = await earned()
  const everywhere = Array.from({ length: 100 }, (_, index) => urls[index % urls.length] ?? '')
  const replies = await Promise.all(everywhere.map(url => pay(url, payment)))
  const statuses = replies.map(({ status }) => status)
  expect(statuses.filter(status => status === 200)).toHaveLength(1)
  // In progress, used, or being settled elsewhere: never a demand for more money.
  expect(statuses.filter(status => status === 409 || status === 503)).toHaveLength(99)
  expect(world.api.requests).toHaveLength(1)
  expect(await earned()).toBe(before + PRICE)
}

/** Log lines of paid requests, by the worker that wrote them. */
function workersHeard(gateway: ChildGateway): Set<unknown> {
  return new Set(gateway.logs.filter(({ msg }) => msg === 'request').map(({ worker }) => worker))
}

describe('four gateways on one PostgreSQL', () => {
  test('sell a payment once that is sent a hundred times at once over all of them', async () => {
    const storeUrl = await postgres.createSchema('four')
    const started = Array.from({ length: 4 }, () => {
      const folder = newFolder()
      folder.write(yamlFor(storeUrl))
      return start(folder.configFile)
    })
    const gateways = await Promise.all(started)
    await expectSoldOnce(gateways.map(({ url }) => `${url}/v1/weather/paris`))
    await expect
      .poll(() => postgres.query('SELECT state FROM four.farebox_claims'))
      .toEqual([{ state: 'delivered' }])
  }, 90_000)
})

describe('server.workers', () => {
  let folder: OwnFolder
  let gateway: ChildGateway
  let url: string

  beforeEach(async () => {
    folder = newFolder()
    folder.write(yamlFor(`sqlite:${folder.storeFile}`, ', workers: 4'))
    gateway = await start(folder.configFile)
    url = `${gateway.url}/v1/weather/paris`
  }, 90_000)

  test('four on one SQLite file sell a payment once that is sent a hundred times at once', async () => {
    expect(workersOf(gateway.pid)).toHaveLength(4)
    await expectSoldOnce([url])
    await expect.poll(() => readRows(folder.storeFile)).toMatchObject([{ state: 'delivered' }])
    await expect.poll(() => workersHeard(gateway).size).toBeGreaterThan(1)
    const listening = gateway.logs.filter(({ msg }) => msg === 'listening')
    expect(listening).toHaveLength(1)
  })

  test('one that is killed under load is replaced, and no money is lost', async () => {
    const before = await earned()
    const urls = Array.from({ length: 40 }, (_, index) => `${gateway.url}/v1/weather/city-${index}`)
    const payments = await Promise.all(urls.map(target => signFor(world.chain, target)))
    const [victim = 0] = workersOf(gateway.pid)
    const first = urls.map(async (target, index) => {
      if (index === 20) process.kill(victim, 'SIGKILL')
      const reply = await pay(target, payments[index] ?? '').catch(() => null)
      await reply?.text().catch(() => '')
    })
    await Promise.all(first)

    await expect.poll(() => gateway.logs.some(({ msg }) => msg === 'worker ended')).toBe(true)
    await expect.poll(() => workersOf(gateway.pid).length).toBe(4)
    expect(workersOf(gateway.pid)).not.toContain(victim)

    // Whoever was cut off sends the same payment again, once the dead worker's holds are over.
    letHoldsRunOut(folder.storeFile)
    const again = urls.map((target, index) =>
      expect
        .poll(async () => {
          const reply = await pay(target, payments[index] ?? '')
          return reply.status === 200 || (await codeOf(reply)) === 'payment_already_used'
        })
        .toBe(true),
    )
    await Promise.all(again)
    expect(await earned()).toBe(before + 40n * PRICE)
    await expect
      .poll(() => readRows(folder.storeFile).map(({ state }) => state))
      .toEqual(Array.from({ length: 40 }, () => 'delivered'))
    const transactions = readRows(folder.storeFile).map(row => row.transaction_hash)
    expect(new Set(transactions).size).toBe(40)
  }, 90_000)

  test('metrics are those of all, never go back when one dies, and all are asked whether ready', async () => {
    await Promise.all(Array.from({ length: 40 }, () => fetch(`${gateway.url}/health`)))
    const counted = async (): Promise<number> => {
      const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
      return Number(/farebox_requests_total\{route="\/health".*\} (\d+)/.exec(text)?.[1] ?? 0)
    }
    await expect.poll(counted).toBe(40)
    const ready = await fetch(`${gateway.adminUrl}/readyz`)
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [] }])

    for (const pid of workersOf(gateway.pid)) process.kill(pid, 'SIGKILL')
    const ended = () => gateway.logs.filter(({ msg }) => msg === 'worker ended')
    await expect.poll(() => ended().length).toBe(4)
    const report = async () => (await fetch(`${gateway.adminUrl}/readyz`)).text()
    await expect.poll(report).toBe('{"ready":true,"reasons":[]}\n')
    expect(await counted()).toBe(40)
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(text).toContain('farebox_workers_ended_total 4')
  }, 90_000)

  test('a reload reaches all of them, and a bad file is told of once', async () => {
    const prices = async (): Promise<unknown[]> => {
      const asked = Array.from({ length: 24 }, () =>
        fetch(url, { headers: { connection: 'close' } }),
      )
      const answers = await Promise.all(asked)
      return [...new Set(answers.map(reply => readChallenge(reply).accepts[0]?.amount))]
    }
    expect(await prices()).toEqual(['1000'])
    const yaml = yamlFor(`sqlite:${folder.storeFile}`, ', workers: 4')
    folder.write(yaml.replace('$0.001', '$0.002'))
    await expect.poll(prices).toEqual(['2000'])

    folder.write(yaml.replace('$0.001', 'gratis'))
    const bad = 'configuration is bad, the old one stays in force'
    const told = () => gateway.logs.filter(({ msg }) => msg === bad)
    await expect.poll(() => told().length).toBe(1)
    const ready = await (await fetch(`${gateway.adminUrl}/readyz`)).text()
    expect(ready).toContain('the last reload was refused')
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain('farebox_config_last_reload_success 0')
    expect(metrics).toContain('farebox_config_reloads_total{result="success"} 1')

    // Whoever is replaced now gets what is in force, not what the file says.
    process.kill(workersOf(gateway.pid)[0] ?? 0, 'SIGKILL')
    await expect.poll(() => workersOf(gateway.pid).length).toBe(4)
    await expect
      .poll(async () => (await fetch(`${gateway.adminUrl}/readyz`)).text())
      .not.toContain('worker')
    expect(await prices()).toEqual(['2000'])
    expect(told()).toHaveLength(1)
    expect(gateway.logs.filter(({ msg }) => msg === 'configuration reloaded')).toHaveLength(1)
  }, 90_000)

  test('SIGTERM lets every worker finish its streams; then all are gone, exit code 0', async () => {
    const streams = Array.from(
      { length: 8 },
      (_, index) => `${gateway.url}/v1/forecast/city-${index}/stream`,
    )
    const replies = await Promise.all(
      streams.map(async target => pay(target, await signFor(world.chain, target))),
    )
    const workers = workersOf(gateway.pid)
    const stopped = gateway.stop()
    const texts = await Promise.all(replies.map(reply => reply.text()))
    for (const text of texts) expect(text.match(/^data: /gm)).toHaveLength(5)
    expect(await stopped).toBe(0)
    for (const pid of workers) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    await expect(fetch(url)).rejects.toThrow()
    expect(readRows(folder.storeFile).map(({ state }) => state)).toEqual(
      Array.from({ length: 8 }, () => 'delivered'),
    )
  }, 90_000)
})

describe('a start with workers that cannot succeed', () => {
  test('says so once, with the code that one process would give, and leaves nobody behind', async () => {
    const [one, other] = [newFolder(), newFolder()]
    one.write(yamlFor(`sqlite:${one.storeFile}`))
    const { url } = await start(one.configFile)
    const yaml = yamlFor(`sqlite:${other.storeFile}`, ', workers: 3')
    other.write(yaml.replace('listen: "127.0.0.1:0"', `listen: "${new URL(url).host}"`))
    const ended = await startChildGateway(other.configFile)
    if (ended.kind !== 'ended') return expect.unreachable('It has started.')
    expect(ended.code).toBe(1)
    expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(JSON.parse(ended.stderr).error.message).toContain('EADDRINUSE')
  }, 90_000)
})

/** As if the time had passed for which a dead worker's claims stay held. */
function letHoldsRunOut(storeFile: string): void {
  const database = new DatabaseSync(storeFile, { timeout: 5_000 })
  database.exec("UPDATE claims SET held_until = 0 WHERE state NOT IN ('delivered', 'released')")
  database.close()
}
