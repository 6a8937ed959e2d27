import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buyer } from '../support/accounts.ts'
import { type Answer, type Intercept, startFacilitator } from '../support/facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { pay, signFor } from '../support/payments.ts'

/** What the first facilitator does instead of its work. */
let fault: (() => Answer) | null = null
const intercept: Intercept = async (_, next) => fault?.() ?? next()

let world: World
let second: Awaited<ReturnType<typeof startFacilitator>>
let gateway: TestGateway

beforeAll(async () => {
  world = await startWorld({ intercept })
  second = await startFacilitator({ chain: world.chain })
  await world.chain.mint(buyer.address, 1_000_000_000n)
})

afterAll(async () => {
  await second.close()
  await world.close()
})

beforeEach(async () => {
  fault = null
  const both = `"${world.facilitator.url}", "${second.url}"`
  const yaml = weatherYaml(world).replace(`"${world.facilitator.url}"`, both)
  gateway = await startTestGateway(yaml)
  await expect.poll(readiness).toBe('')
})

afterEach(() => gateway.close())

const nameOf = ({ url }: { readonly url: string }) => new URL(url).host

/** What is amiss. */
async function readiness(): Promise<string> {
  const text = await (await fetch(`${gateway.adminUrl}/readyz`)).text()
  return text.includes('facilitator') ? text : ''
}

/** The condition of each facilitator, as metrics tell it. */
async function conditions(): Promise<Record<string, string>> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const samples = text.matchAll(
    /^farebox_facilitator_condition\{facilitator="([^"]+)",condition="(\w+)"\} 1$/gm,
  )
  return Object.fromEntries([...samples].map(([, name = '', condition = '']) => [name, condition]))
}

const told = () =>
  gateway.logs
    .filter(({ msg }) => /^facilitator (is|rests)/.test(String(msg)))
    .map(({ msg, facilitator }) => `${facilitator}: ${msg}`)

async function payOnce(): Promise<number> {
  const url = `${gateway.url}/v1/weather/paris`
  const reply = await pay(url, await signFor(world.chain, url))
  await reply.text()
  return reply.status
}

test('a facilitator that goes down and comes back is told of twice, and nobody notices', async () => {
  const [one, other] = [nameOf(world.facilitator), nameOf(second)]
  expect(await conditions()).toEqual({ [one]: 'up', [other]: 'up' })
  fault = () => 'hang-up'
  for (let time = 0; time < 5; time++) expect(await payOnce()).toBe(200)
  await expect.poll(told).toEqual([`${one}: facilitator is down`])
  expect(await conditions()).toEqual({ [one]: 'down', [other]: 'up' })
  expect(await readiness()).toMatch(new RegExp(`facilitator ${one} is down.*tried again`))
  expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)

  fault = null
  await expect.poll(conditions).toEqual({ [one]: 'up', [other]: 'up' })
  await expect.poll(told).toEqual([`${one}: facilitator is down`, `${one}: facilitator is up`])
  expect(await readiness()).toBe('')
  const before = world.facilitator.calls.settle.length
  expect(await payOnce()).toBe(200)
  expect(world.facilitator.calls.settle).toHaveLength(before + 1)
})

test('a facilitator that asks for a rest is told of, and of its end', async () => {
  const one = nameOf(world.facilitator)
  fault = () => ({ status: 429, body: {}, headers: { 'retry-after': '2' } })
  expect(await payOnce()).toBe(200)
  fault = null
  expect(await conditions()).toMatchObject({ [one]: 'resting' })
  expect(await readiness()).toContain(`facilitator ${one} asked to be left alone`)
  const expected = [`${one}: facilitator is resting`, `${one}: facilitator is up`]
  await expect.poll(told).toEqual(expected)
})

test('a facilitator that the configuration no longer names is gone from the metrics', async () => {
  await gateway.write(weatherYaml({ facilitator: second, api: world.api }))
  expect(await gateway.reload()).toEqual({ kind: 'reloaded' })
  expect(await conditions()).toEqual({ [nameOf(second)]: 'up' })
})
