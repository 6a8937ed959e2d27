import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, signFor } from '../support/payments.ts'

let world: World
/** Takes no money for two routes, and money for the third. Its facilitator answers nobody. */
let gateway: TestGateway
let payable: TestGateway

beforeAll(async () => {
  world = await startWorld()
  const routes = `  GET /v1/weather/{city}/paid: {price: $0.002, mode: enforce}
  GET /first: {price: $0.003, settle: before-upstream, rewrite: /v1/broken}`
  const nobody = { url: 'http://127.0.0.1:9' }
  gateway = await startTestGateway(
    weatherYaml({ facilitator: nobody, api: world.api }, { top: 'mode: shadow', routes }),
  )
  payable = await startTestGateway(weatherYaml(world))
})

afterAll(async () => {
  await gateway.close()
  await payable.close()
  await world.close()
})

async function metricsOf(name: string): Promise<string[]> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return text.split('\n').filter(line => line.startsWith(name))
}

const shadowsLogged = (): unknown[] => gateway.logs.flatMap(line => line['shadow'] ?? [])

describe('a priced route in shadow mode', () => {
  test('is served to everybody, and what it would have cost is logged', async () => {
    const answer = await fetch(`${gateway.url}/v1/weather/paris`)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ city: 'paris' })
    expect([...answer.headers.keys()].filter(name => /payment|farebox/.test(name))).toEqual([])
    await expect.poll(shadowsLogged).toEqual([
      {
        ...{ network: 'eip155:84532', asset: 'USDC', amount: '0.001', due: true },
        ...{ payment: 'absent', reason: null },
      },
    ])
  })

  test('looks at a payment that comes along, does not use it, and hands it to nobody', async () => {
    const url = `${gateway.url}/v1/weather/rome`
    const payment = await signFor(world.chain, `${payable.url}/v1/weather/rome`)
    await world.startCounting()
    for (const [sent, verdict] of [
      [payment, 'passed'],
      ['nonsense', 'malformed'],
      [await signFor(world.chain, `${payable.url}/v1/forecast/rome/stream`), 'refused'],
    ] as const) {
      expect((await pay(url, sent)).status).toBe(200)
      await expect.poll(() => shadowsLogged().at(-1)).toMatchObject({ payment: verdict, due: true })
    }
    const seen = world.api.requests.filter(one => one.url === '/v1/weather/rome')
    expect(seen).toHaveLength(3)
    expect(JSON.stringify(seen)).not.toContain(payment)
    expect(await world.earned()).toBe(0n)
    expect(gateway.states()).toEqual([])
    // It is as good as new where it is asked for.
    expect((await pay(`${payable.url}/v1/weather/rome`, payment)).status).toBe(200)
  })

  test('counts what is billable only, unless it would have been paid first', async () => {
    expect((await fetch(`${gateway.url}/v1/broken`)).status).toBe(500)
    expect((await fetch(`${gateway.url}/first`)).status).toBe(500)
    await expect
      .poll(() => metricsOf('farebox_shadow_token_units_total'))
      .toEqual([
        'farebox_shadow_token_units_total{route="GET /v1/weather/{city}",network="eip155:84532",asset="USDC"} 0.004',
        'farebox_shadow_token_units_total{route="GET /first",network="eip155:84532",asset="USDC"} 0.003',
      ])
    const charges = await metricsOf('farebox_shadow_charges_total')
    expect(charges.filter(line => line.includes('payment="passed"'))).toHaveLength(1)
  })

  test('leaves free routes and those that are enforced as they are', async () => {
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
    // Nobody takes money for it: it is refused, as ever.
    const paid = await fetch(`${gateway.url}/v1/weather/paris/paid`)
    expect([paid.status, await codeOf(paid)]).toEqual([503, 'facilitator_unavailable'])
    expect(shadowsLogged().filter(shadow => JSON.stringify(shadow).includes('0.002'))).toEqual([])
  })
})

test('nobody runs it without knowing', async () => {
  expect(await metricsOf('farebox_shadow_routes')).toEqual(['farebox_shadow_routes 5'])
  const ready = await (await fetch(`${gateway.adminUrl}/readyz`)).json()
  expect(JSON.stringify(ready)).toContain('SHADOW MODE')
  expect(gateway.logs).toContainEqual(
    expect.objectContaining({
      ...{ level: 'warn', msg: expect.stringContaining('SHADOW MODE') },
      routes: expect.arrayContaining(['GET /v1/weather/{city}', 'GET /first']),
    }),
  )
})
