import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { codeOf, pay, signFor } from '../support/payments.ts'

let world: World

beforeAll(async () => {
  world = await startWorld()
}, 60_000)

afterAll(() => world.close())

const ask = (url: string, forwardedFor?: string): Promise<Response> =>
  fetch(url, forwardedFor === undefined ? {} : { headers: { 'x-forwarded-for': forwardedFor } })

async function statuses(url: string, count: number): Promise<number[]> {
  const replies: Response[] = []
  for (let asked = 0; asked < count; asked++) replies.push(await ask(url))
  return replies.map(({ status }) => status)
}

describe('a rate limit', () => {
  test('of a route answers 429 beyond it, and tells how it stands before', async () => {
    await using gateway = await startTestGateway(
      weatherYaml(world, {
        routes: '  GET /v1/free: {price: free, rateLimit: {requests: 2, per: 1m}}',
      }),
    )
    const url = `${gateway.url}/v1/free`
    const first = await ask(url)
    expect(first.headers.get('ratelimit-policy')).toBe('"address-60s";q=2;w=60')
    expect(first.headers.get('ratelimit')).toBe('"address-60s";r=1;t=60')
    await ask(url)
    const third = await ask(url)
    expect([third.status, await codeOf(third)]).toEqual([429, 'rate_limited'])
    expect(third.headers.get('ratelimit')).toMatch(/^"address-60s";r=0;t=(60|59)$/)
    expect(third.headers.get('retry-after')).toBe(
      /t=(\d+)/.exec(third.headers.get('ratelimit') ?? '')?.[1],
    )
    // Other routes have none.
    const health = await ask(`${gateway.url}/health`)
    expect([health.status, health.headers.get('ratelimit')]).toEqual([200, null])
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain(
      'farebox_limited_requests_total{route="GET /v1/free",limit="address"} 1',
    )
    expect(gateway.logs.at(-2)).toMatchObject({ limitedBy: 'address', status: 429 })
  })

  test('by default counts all routes that have none of their own together', async () => {
    await using gateway = await startTestGateway(
      weatherYaml(world, {
        top: 'rateLimit: [{requests: 3, per: 1m}, {requests: 1, per: 1s, by: route}]',
        routes: '  GET /v1/free: {price: free, rateLimit: off}',
      }),
    )
    const urls = ['/health', '/v1/weather/paris', '/v1/broken', '/v1/forecast/rome/stream']
    const replies = []
    for (const path of urls) replies.push(await ask(`${gateway.url}${path}`))
    expect(replies.map(({ status }) => status)).toEqual([200, 402, 402, 429])
    // One request a second of each route is left of nothing: that is what is told.
    expect(replies[0]?.headers.get('ratelimit')).toBe('"route-1s";r=0;t=1')
    expect(replies[0]?.headers.get('ratelimit-policy')).toBe(
      '"address-60s";q=3;w=60, "route-1s";q=1;w=1',
    )
    expect(new Set(await statuses(`${gateway.url}/v1/free`, 5))).not.toContain(429)
  })

  test('keeps its counts over a reload', async () => {
    const yaml = (requests: number) =>
      weatherYaml(world, { top: `rateLimit: {requests: ${requests}, per: 1m}` })
    await using gateway = await startTestGateway(yaml(5))
    expect(await statuses(`${gateway.url}/health`, 3)).toEqual([200, 200, 200])
    await gateway.write(yaml(4))
    await gateway.reload()
    expect(await statuses(`${gateway.url}/health`, 2)).toEqual([200, 429])
  })

  test('knows clients by what trusted proxies say, and nobody else', async () => {
    const top = 'rateLimit: {requests: 1, per: 1m}'
    await using trusting = await startTestGateway(
      weatherYaml(world, { top, server: 'trustedProxies: [127.0.0.1]' }),
    )
    const trusted = `${trusting.url}/health`
    expect((await ask(trusted, '192.0.2.1')).status).toBe(200)
    expect((await ask(trusted, '192.0.2.2')).status).toBe(200)
    expect((await ask(trusted, '2001:db8::1')).status).toBe(200)
    expect((await ask(trusted, '2001:db8::2')).status).toBe(429)
    await using wary = await startTestGateway(weatherYaml(world, { top }))
    const untrusted = `${wary.url}/health`
    expect((await ask(untrusted, '192.0.2.1')).status).toBe(200)
    expect((await ask(untrusted, '192.0.2.2')).status).toBe(429)
  })

  test('by payer counts those whose signature was checked', async () => {
    const routes =
      '  GET /v1/limited: {price: $0.001, rateLimit: {requests: 1, per: 1m, by: payer}}'
    await using gateway = await startTestGateway(weatherYaml(world, { routes }))
    const url = `${gateway.url}/v1/limited`
    const payments = [await signFor(world.chain, url), await signFor(world.chain, url)]
    const [first, second] = [await pay(url, payments[0] ?? ''), await pay(url, payments[1] ?? '')]
    expect(first.headers.get('ratelimit')).toBe('"payer-60s";r=0;t=60')
    expect(second.status).toBe(429)
    // Asking for the price counts for no payer.
    expect((await ask(url)).status).toBe(402)
  })
})

describe('junk', () => {
  test('beyond the unpaid budget of an address gets 429 for 402, and payments still go', async () => {
    await using gateway = await startTestGateway(
      weatherYaml(world, { top: 'limits: {unpaid: {requests: 2, per: 1m}}' }),
    )
    const url = `${gateway.url}/v1/weather/paris`
    const payment = await signFor(world.chain, url)
    const [second, third] = [await ask(url), await ask(url)]
    expect(second.status).toBe(402)
    expect([third.status, await codeOf(third)]).toEqual([429, 'too_many_unpaid_requests'])
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(50)
    expect((await pay(url, payment)).status).toBe(200)
  })

  test('that was refused too often is not looked at, and whoever has paid is', async () => {
    await using gateway = await startTestGateway(
      weatherYaml(world, { top: 'limits: {verify: {refused: {requests: 3, per: 1m}}}' }),
    )
    const url = `${gateway.url}/v1/weather/paris`
    const paid = await pay(url, await signFor(world.chain, url))
    expect(paid.status).toBe(200)
    const honest = await signFor(world.chain, url)
    const wrong = await signFor(world.chain, url, { authorization: { value: 1n } })
    for (let sent = 0; sent < 3; sent++) expect((await pay(url, wrong)).status).toBe(402)
    const foreign = await signFor(world.chain, url, {
      authorization: { from: '0x00000000000000000000000000000000000a11e7' },
    })
    const barred = await pay(url, foreign)
    expect([barred.status, await codeOf(barred)]).toEqual([429, 'too_many_refused_payments'])
    expect((await pay(url, honest)).status).toBe(200)
  })

  test('from many addresses is looked into within its budget, and whoever has paid is served', async () => {
    await using gateway = await startTestGateway(
      weatherYaml(world, {
        server: 'trustedProxies: [127.0.0.1]',
        top: 'limits: {verify: {strangers: {requests: 4, per: 1m}}}',
      }),
    )
    const url = `${gateway.url}/v1/weather/paris`
    const payFrom = (address: string, payment: string) =>
      fetch(url, { headers: { 'payment-signature': payment, 'x-forwarded-for': address } })
    const home = '192.0.2.1'
    const paid = await payFrom(home, await signFor(world.chain, url))
    expect(paid.status).toBe(200)
    const honest = await signFor(world.chain, url)
    const underpaid = { authorization: { value: 1n } }
    const refused = await Promise.all(
      Array.from({ length: 10 }, async (_, index) =>
        payFrom(`198.51.100.${index}`, await signFor(world.chain, url, underpaid)),
      ),
    )
    const codes = await Promise.all(refused.map(codeOf))
    expect(refused.filter(({ status }) => status === 402)).toHaveLength(4)
    expect(codes.filter(code => code === 'too_many_verifications')).toHaveLength(6)
    // Those above bear the name of one who has paid; these have a budget of their own.
    const malformed = await Promise.all(
      Array.from({ length: 10 }, (_, index) => payFrom(`203.0.113.${index}`, 'not base64')),
    )
    expect(malformed.filter(({ status }) => status === 400)).toHaveLength(4)
    // One is saved up every 15 seconds.
    expect(malformed.filter(({ headers }) => headers.get('retry-after') === '15')).toHaveLength(6)
    expect((await payFrom(home, honest)).status).toBe(200)
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain(
      'farebox_limited_requests_total{route="GET /v1/weather/{city}",limit="strangers"} 12',
    )
  })
})
