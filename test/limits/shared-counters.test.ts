import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StoreConfig } from '../../src/config/gateway-config.ts'
import { openQueries } from '../../src/ledger/open-queries.ts'
import { type OpenSharedCounters, openSharedCounters } from '../../src/limits/shared-counters.ts'
import { startTestGateway, type TestGateway, weatherYaml } from '../support/gateway.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { startWeatherApi, type WeatherApi } from '../support/weather-api.ts'

let postgres: TestPostgres
let api: WeatherApi
let storeUrl: string

beforeAll(async () => {
  ;[postgres, api] = await Promise.all([startPostgres(), startWeatherApi()])
  storeUrl = await postgres.createSchema('limits')
}, 60_000)

afterAll(async () => {
  await Promise.all([postgres.close(), api.close()])
})

function countersAt(url: string): OpenSharedCounters {
  const store: StoreConfig = { kind: 'postgres', url, redeemableMs: 1, retentionMs: 1 }
  const counters = openSharedCounters(store, openQueries)
  if (counters === null) throw new Error('PostgreSQL can be shared.')
  return counters
}

describe('counters in PostgreSQL', () => {
  test('add up what several processes count, until their window ends', async () => {
    const [one, other] = [countersAt(storeUrl), countersAt(storeUrl)]
    const key = { id: 'sum', subject: '192.0.2.1', perMs: 1000 }
    expect(await one.add(key, 5)).toMatchObject({ count: 5 })
    const second = await other.add(key, 2)
    expect(second.count).toBe(7)
    expect(second.resetMs).toBeGreaterThan(0)
    expect(second.resetMs).toBeLessThanOrEqual(1000)
    expect(await other.add({ ...key, subject: '192.0.2.2' }, 1)).toMatchObject({ count: 1 })
    await expect.poll(async () => (await one.add(key, 1)).count).toBe(1)
    await Promise.all([one.close(), other.close()])
  })

  test('name nobody', async () => {
    const rows = await postgres.query('SELECT key FROM limits.farebox_rate_counters')
    expect(rows.length).toBeGreaterThan(0)
    expect(JSON.stringify(rows)).not.toContain('192.0.2')
  })

  test('need no right but to read and write rows', async () => {
    await postgres.query(`
      CREATE ROLE clerk LOGIN PASSWORD 'clerk';
      GRANT USAGE ON SCHEMA limits TO clerk;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA limits TO clerk`)
    const url = new URL(storeUrl)
    Object.assign(url, { username: 'clerk', password: 'clerk' })
    const counters = countersAt(url.href)
    const key = { id: 'rights', subject: 'a', perMs: 60_000 }
    expect((await counters.add(key, 1)).count).toBe(1)
    await counters.close()
  })

  test('are none over a store that nobody else sees', () => {
    const store: StoreConfig = { kind: 'sqlite', path: ':memory:', redeemableMs: 1, retentionMs: 1 }
    expect(openSharedCounters(store, openQueries)).toBeNull()
  })
})

describe('two gateways on one PostgreSQL', () => {
  let gateways: TestGateway[]

  beforeAll(async () => {
    // Free routes only: no facilitator is asked.
    const yaml = weatherYaml(
      { facilitator: { url: 'http://127.0.0.1:1' }, api },
      { top: 'rateLimit: {requests: 20, per: 1m}' },
    )
    gateways = [
      await startTestGateway(yaml, { storeUrl }),
      await startTestGateway(yaml, { storeUrl }),
    ]
  }, 60_000)

  afterAll(() => Promise.all(gateways.map(gateway => gateway.close())))

  const ask = async (index: number): Promise<number> =>
    (await fetch(`${gateways[index]?.url}/health`)).status

  test('limit a client together', async () => {
    for (let asked = 0; asked < 20; asked++) expect(await ask(0)).toBe(200)
    let passed = 0
    await expect
      .poll(async () => {
        const status = await ask(1)
        if (status === 200) passed++
        return status
      })
      .toBe(429)
    // Those that it let through before it heard of the other one's count.
    expect(passed).toBeLessThanOrEqual(5)
  })

  test('each go on limiting while the database is away', async () => {
    await postgres.stop()
    expect(await ask(0)).toBe(429)
    await using alone = await startTestGateway(
      weatherYaml(
        { facilitator: { url: 'http://127.0.0.1:1' }, api },
        { top: 'rateLimit: {requests: 3, per: 1m, by: route}' },
      ),
      { storeUrl },
    )
    const statuses = []
    for (let asked = 0; asked < 5; asked++) {
      statuses.push((await fetch(`${alone.url}/health`)).status)
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429])
    await postgres.start()
  })
})
