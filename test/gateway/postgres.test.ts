import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seller } from '../support/accounts.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, signFor } from '../support/payments.ts'
import { POSTGRES_PASSWORD, startPostgres, type TestPostgres } from '../support/postgres.ts'

/** Two gateways behind one name, on one database. */
let world: World
let postgres: TestPostgres
let gateways: TestGateway[]

beforeAll(async () => {
  ;[world, postgres] = await Promise.all([startWorld(), startPostgres()])
  const storeUrl = await postgres.createSchema('gateways')
  const yaml = weatherYaml(world, { server: 'publicUrl: "http://api.example.com", hosts: ["*"]' })
  gateways = await Promise.all([
    startTestGateway(yaml, { storeUrl }),
    startTestGateway(yaml, { storeUrl }),
  ])
}, 60_000)

afterAll(async () => {
  await Promise.all(gateways.map(gateway => gateway.close()))
  await Promise.all([world.close(), postgres.close()])
})

const urls = (): string[] => gateways.map(({ url }) => `${url}/v1/weather/paris`)
const firstUrl = (): string => urls()[0] ?? ''

describe('gateways on one PostgreSQL', () => {
  test('sell one payment once, however often and wherever it is sent at once', async () => {
    const payment = await signFor(world.chain, firstUrl())
    const before = await world.chain.balanceOf(seller.address)
    const everywhere = Array.from({ length: 20 }, () => urls()).flat()
    const replies = await Promise.all(everywhere.map(url => pay(url, payment)))
    const statuses = replies.map(({ status }) => status)
    expect(statuses.filter(status => status === 200)).toHaveLength(1)
    // In progress, used, or being settled by the other gateway: never a demand for more money.
    expect(statuses.filter(status => status === 409 || status === 503)).toHaveLength(39)
    expect(world.api.requests).toHaveLength(1)
    expect(await world.chain.balanceOf(seller.address)).toBe(before + 1_000n)
  })

  test('know what another one sold, with its receipt', async () => {
    const [one = '', other = ''] = urls()
    const payment = await signFor(world.chain, one)
    const paid = await pay(one, payment)
    await paid.text()
    const receipt = readReceipt(paid)
    await expect.poll(async () => codeOf(await pay(other, payment))).toBe('payment_already_used')
    expect(readReceipt(await pay(other, payment))).toEqual(receipt)
  })

  test('take no payment while the database is away, keep free routes up, and go on after', async () => {
    const payment = await signFor(world.chain, firstUrl())
    const served = world.api.requests.length
    await postgres.stop()
    const refused = await pay(firstUrl(), payment)
    expect([refused.status, await codeOf(refused)]).toEqual([503, 'store_unavailable'])
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(world.api.requests).toHaveLength(served)
    expect((await fetch(`${gateways[0]?.url}/health`)).status).toBe(200)
    await postgres.start()
    await expect.poll(async () => (await pay(firstUrl(), payment)).status).toBe(200)
    expect(JSON.stringify(gateways.map(({ logs }) => logs))).not.toContain(POSTGRES_PASSWORD)
  })

  test('start where no file can be written, say so once, and sell', async () => {
    // A file in the directory's place stops even root, whom a read-only directory would not.
    await using gateway = await startTestGateway(weatherYaml(world), {
      storeUrl: await postgres.createSchema('read_only'),
      prepare: folder => writeFile(join(folder, 'data'), ''),
    })
    const url = `${gateway.url}/v1/weather/paris`
    expect((await pay(url, await signFor(world.chain, url))).status).toBe(200)
    const lines = gateway.logs.filter(line => JSON.stringify(line).includes('support_cache'))
    expect(lines).toHaveLength(1)
    expect(JSON.stringify(lines)).toContain('cannot be written')
  })
})
