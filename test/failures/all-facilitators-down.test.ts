import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { type Answer, type Intercept, startFacilitator } from '../support/facilitator.ts'
import { startTestGateway, startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { codeOf, pay, signFor } from '../support/payments.ts'

let down = false
const intercept: Intercept = async (_, next): Promise<Answer> => (down ? 'hang-up' : next())

let world: World
let second: Awaited<ReturnType<typeof startFacilitator>>
let folder: string

beforeAll(async () => {
  world = await startWorld({ intercept })
  second = await startFacilitator({ chain: world.chain, versions: [1], intercept })
  await world.chain.mint(buyer.address, 1_000_000_000n)
})

afterAll(async () => {
  await second.close()
  await world.close()
})

beforeEach(async () => {
  down = false
  folder = await mkdtemp(join(tmpdir(), 'farebox-down-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const cacheFile = () => join(folder, 'farebox.supported.json')

function start() {
  const yaml = weatherYaml(world, {
    server: 'publicUrl: https://api.example.com, hosts: ["*"]',
  }).replace(`"${world.facilitator.url}"`, `"${world.facilitator.url}", "${second.url}"`)
  return startTestGateway(yaml, { storeUrl: `sqlite:${folder}/farebox.db` })
}

/** All that a client sees of a 402, but the time and the request's id. */
async function challengeOf(url: string) {
  const reply = await fetch(`${url}/v1/weather/paris`)
  const headers = [...reply.headers].filter(([name]) => !/^(date|x-request-id)$/.test(name))
  return { status: reply.status, headers, body: await reply.text() }
}

test('a start with every facilitator down asks for the same, byte for byte, and sells nothing', async () => {
  const before = await start()
  const challenge = await challengeOf(before.url)
  expect(challenge.status).toBe(402)
  await before.close()

  down = true
  const startedAt = performance.now()
  await using after = await start()
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  // The very first answer, before anybody can have come back.
  expect(await challengeOf(after.url)).toEqual(challenge)
  const url = `${after.url}/v1/weather/paris`
  const earned = await world.chain.balanceOf(seller.address)
  const payment = await signFor(world.chain, url)
  const reply = await pay(url, payment)
  expect([reply.status, await codeOf(reply)]).toEqual([503, 'facilitator_unavailable'])
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(await challengeOf(after.url)).toEqual(challenge)
  expect(world.api.requests).toEqual([])
  const ready = await (await fetch(`${after.adminUrl}/readyz`)).text()
  expect(ready).toContain(new URL(world.facilitator.url).host)

  down = false
  await expect.poll(async () => (await pay(url, payment)).status).toBe(200)
  expect(await world.chain.balanceOf(seller.address)).toBe(earned + 1_000n)
})

test('a facilitator that speaks version 1 only is spoken to in version 1 from the first payment', async () => {
  const before = await start()
  await expect.poll(() => readFile(cacheFile(), 'utf8')).toContain('base-sepolia')
  await before.close()

  // Nobody says what is supported; the rest works.
  let asked = 0
  const silent = await startFacilitator({
    chain: world.chain,
    versions: [1],
    async intercept(operation, next) {
      asked += 1
      return operation === 'supported' ? 'hang-up' : next()
    },
  })
  const known = JSON.parse(await readFile(cacheFile(), 'utf8'))
  const { createHash } = await import('node:crypto')
  const key = (url: string) => createHash('sha256').update(url).digest('hex')
  known.facilitators = { [key(silent.url)]: known.facilitators[key(second.url)] }
  await writeFile(cacheFile(), JSON.stringify(known))
  try {
    const yaml = weatherYaml({ facilitator: silent, api: world.api })
    await using gateway = await startTestGateway(yaml, {
      storeUrl: `sqlite:${folder}/farebox.db`,
    })
    const url = `${gateway.url}/v1/weather/paris`
    expect((await pay(url, await signFor(world.chain, url))).status).toBe(200)
    expect(Object(silent.calls.settle[0]).x402Version).toBe(1)
    expect(asked).toBeGreaterThan(2)
  } finally {
    await silent.close()
  }
})

test.each([
  ['damaged', '{"version":1,"facil'],
  ['of another version', '{"version":7,"facilitators":{}}'],
])('a file that is %s is ignored with one line, and written anew', async (_, text) => {
  await writeFile(cacheFile(), text)
  await using gateway = await start()
  await expect.poll(() => readFile(cacheFile(), 'utf8')).toContain('eip155:84532')
  expect((await challengeOf(gateway.url)).status).toBe(402)
  const lines = gateway.logs.filter(line => JSON.stringify(line).includes('support_cache_unusable'))
  expect(lines).toHaveLength(1)
  expect(JSON.stringify(lines)).toContain('ignored')
})

test('a gateway whose store is in memory keeps no file', async () => {
  const yaml = weatherYaml(world)
  await using gateway = await startTestGateway(yaml, { storeUrl: 'sqlite::memory:' })
  expect((await challengeOf(gateway.url)).status).toBe(402)
  await expect(access(join(gateway.configFile, '../data'))).rejects.toThrow('ENOENT')
})
