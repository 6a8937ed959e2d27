import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readChallenge, signFor } from '../support/payments.ts'

let world: World
let gateway: TestGateway
let url: string

beforeAll(async () => {
  world = await startWorld({ eventIntervalMs: 60 })
})

afterAll(() => world.close())

beforeEach(async () => {
  world.api.requests.length = 0
  gateway = await startTestGateway(weatherYaml(world), { watch: true })
  url = `${gateway.url}/v1/weather/paris`
})

afterEach(() => gateway.close())

const priceOf = async (): Promise<string | undefined> =>
  readChallenge(await fetch(url)).accepts[0]?.amount
const dearer = (): string => weatherYaml(world).replace('$0.001', '$0.002')

describe('a reload', () => {
  test('puts a changed price in force as soon as the file is saved', async () => {
    expect(await priceOf()).toBe('1000')
    await gateway.write(dearer())
    await expect.poll(priceOf).toBe('2000')
  })

  test('honours a price that was just quoted, for as long as a client may sign it', async () => {
    const payment = await signFor(world.chain, url)
    await gateway.write(dearer())
    expect(await gateway.reload()).toEqual({ kind: 'reloaded' })
    expect(await priceOf()).toBe('2000')
    expect((await pay(url, payment)).status).toBe(200)
    const underpaid = await signFor(world.chain, url, { authorization: { value: 1_000n } })
    expect((await pay(url, underpaid)).status).toBe(402)
  })

  test('of a bad file keeps what is in force, and says what is wrong', async () => {
    await gateway.write(`${dearer()}\n  GET /v1/typo: {prize: $1}`)
    const reloaded = await gateway.reload()
    if (reloaded.kind !== 'refused') throw new Error('The bad file was taken.')
    expect(reloaded.problems.join('\n')).toMatch(/gateway\.yaml:\d+:\d+: .*prize[\s\S]*price/)
    expect(await priceOf()).toBe('1000')
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain('farebox_config_last_reload_success 0')
    const ready = await fetch(`${gateway.adminUrl}/readyz`)
    expect(ready.status).toBe(200)
    expect(await ready.text()).toContain('the last reload was refused')
  })

  test('that would move a listener or the store applies nothing and asks for a restart', async () => {
    await gateway.write(dearer().replace('127.0.0.1:0', '127.0.0.1:1'))
    expect(await gateway.reload()).toMatchObject({
      kind: 'refused',
      problems: [expect.stringContaining('server.listen')],
    })
    expect(await priceOf()).toBe('1000')
  })

  test('lets a running stream end on the upstream that it began with', async () => {
    const stream = `${gateway.url}/v1/forecast/oslo/stream`
    const reply = await pay(stream, await signFor(world.chain, stream))
    await gateway.write(weatherYaml({ ...world, api: { url: 'http://127.0.0.1:9' } }))
    expect(await gateway.reload()).toEqual({ kind: 'reloaded' })
    expect((await fetch(`${gateway.url}/health`)).status).toBe(502)
    expect((await reply.text()).match(/^data: /gm)).toHaveLength(5)
  })
})

describe('closing', () => {
  test('finishes a paid stream, refuses newcomers, and leaves a record', async () => {
    const stream = `${gateway.url}/v1/forecast/oslo/stream`
    const reply = await pay(stream, await signFor(world.chain, stream))
    const adminUrl = gateway.adminUrl
    const closed = gateway.close()
    const ready = await fetch(`${adminUrl}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([
      503,
      expect.stringContaining('shutting down'),
    ])
    await expect(fetch(url)).rejects.toThrow()
    expect((await reply.text()).match(/^data: /gm)).toHaveLength(5)
    await closed
    expect(gateway.logs).toContainEqual(
      expect.objectContaining({ route: 'GET /v1/forecast/{city}/stream', outcome: 'paid' }),
    )
  })
})

describe('cors', () => {
  test('lets a page pay and read its receipt, where it is on', async () => {
    await gateway.write(weatherYaml(world, { top: 'cors: {origins: ["https://shop.example"]}' }))
    await gateway.reload()
    const origin = { origin: 'https://shop.example' }
    const preflight = await fetch(url, {
      method: 'OPTIONS',
      headers: {
        ...origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'payment-signature, x-own',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(
      /PAYMENT-SIGNATURE.*x-own/,
    )
    const unpaid = await fetch(url, { headers: origin })
    expect(unpaid.status).toBe(402)
    expect(unpaid.headers.get('access-control-allow-origin')).toBe('https://shop.example')
    expect(unpaid.headers.get('access-control-expose-headers')).toContain('PAYMENT-REQUIRED')
    const stranger = await fetch(url, { headers: { origin: 'https://evil.example' } })
    expect(stranger.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('says nothing where it is off', async () => {
    const unpaid = await fetch(url, { headers: { origin: 'https://shop.example' } })
    expect(unpaid.headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('what is not listed', () => {
  test('is refused, and a known path names its methods', async () => {
    const unknown = await fetch(`${gateway.url}/v1/secret`)
    expect([unknown.status, await codeOf(unknown)]).toEqual([404, 'no_such_route'])
    const wrong = await fetch(url, { method: 'DELETE' })
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect(world.api.requests).toEqual([])
  })
})
