import type { IncomingMessage } from 'node:http'
import { jwtVerify } from 'jose'
import { getAddress } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type ApiKey, coinbaseEd25519Key, coinbaseP256Key } from '../facilitator/api-keys.ts'
import { buyer } from '../support/accounts.ts'
import { startTestGateway, startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { type LocalServer, readJson, serveLocally } from '../support/json-server.ts'
import { pay, readReceipt, signFor } from '../support/payments.ts'

/** The dialects of facilitators, each in front of the published one, on a real chain. */
let world: World
const opened: { close(): Promise<void> }[] = []

beforeAll(async () => {
  world = await startWorld()
  await world.chain.mint(buyer.address, 100_000_000n)
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(one => one.close()))
})
afterAll(() => world.close())

type Answered = { readonly status: number; readonly body: unknown }
type Front = (request: IncomingMessage, body: unknown) => Promise<Answered | null>

/** Answers what `front` does not let pass; what it does, the published facilitator answers. */
async function startFront(front: Front): Promise<LocalServer> {
  const server = await serveLocally(async (request, response) => {
    const parsed = await readJson(request)
    const body = parsed.kind === 'json' ? parsed.value : null
    const { status, body: answer } = (await front(request, body)) ?? (await ask(request, body))
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  })
  opened.push(server)
  return server
}

async function ask(
  { method = 'GET', url = '' }: IncomingMessage,
  body: unknown,
): Promise<Answered> {
  const asked = await fetch(`${world.facilitator.url}/${url.split('/').at(-1)}`, {
    method,
    ...(method === 'POST' ? { body: JSON.stringify(body) } : {}),
  })
  return { status: asked.status, body: await asked.json() }
}

async function startShop(facilitator: string, network = 'base-sepolia') {
  const yaml = weatherYaml(world)
    .replace(/facilitators: .*/, `facilitators: [${facilitator}]`)
    .replace(/accepts: .*/, `accepts: [${network}]`)
  const gateway = await startTestGateway(yaml)
  opened.push(gateway)
  return gateway
}

/** Every address that a request carries, as it is spelled. */
function addressesIn(body: unknown): string[] {
  return [...JSON.stringify(body).matchAll(/"(0x[0-9a-fA-F]{40})"/g)].map(([, one = '']) => one)
}

const keys: [string, ApiKey][] = [
  ['an Ed25519 key', coinbaseEd25519Key()],
  ['a P-256 key', coinbaseP256Key()],
]

test.each(keys)('Coinbase: a payment settles with %s and checksummed addresses', async (_, key) => {
  const refusals: string[] = []
  const front = await startFront(async (request, body) => {
    const { method, url, headers } = request
    try {
      const token = headers.authorization?.slice('Bearer '.length) ?? ''
      const { payload } = await jwtVerify(token, key.publicKey, { issuer: 'cdp' })
      expect(payload['uris']).toEqual([`${method} ${headers.host}${url}`])
      for (const address of addressesIn(body)) expect(address).toBe(getAddress(address))
      return null
    } catch (error) {
      refusals.push(String(error))
      return { status: 401, body: { error: 'unauthorized' } }
    }
  })
  const entry =
    `{url: "${front.url}/platform/v2/x402", auth: {kind: coinbase, ` +
    `keyId: ${key.keyId}, keySecret: ${JSON.stringify(key.keySecret)}}}`
  const gateway = await startShop(entry)
  const url = `${gateway.url}/v1/weather/paris`
  const paid = await pay(url, lowerCased(await signFor(world.chain, url)))
  expect(refusals).toEqual([])
  expect({ status: paid.status, receipt: readReceipt(paid) }).toMatchObject({
    ...{ status: 200, receipt: { success: true, payer: getAddress(buyer.address) } },
  })
})

/** As a buyer may write them: what is signed are the bytes. */
function lowerCased(header: string): string {
  const text = Buffer.from(header, 'base64').toString()
  const lowered = text.replace(/"0x[0-9a-fA-F]{40}"/g, address => address.toLowerCase())
  expect(lowered).not.toBe(text)
  return Buffer.from(lowered).toString('base64')
}

describe('OpenX402', () => {
  test('its wrong name for a token reaches no buyer, and payments settle', async () => {
    const extra = { name: 'USD Coin', version: '1', asset: `0x${'00'.repeat(19)}01` }
    const front = await startFront(async ({ url = '' }) => {
      if (!url.endsWith('/supported')) return null
      const kind = { scheme: 'exact', extra }
      const kinds = [
        { ...kind, x402Version: 2, network: 'eip155:84532' },
        { ...kind, x402Version: 1, network: 'base-sepolia' },
      ]
      return { status: 200, body: { kinds, extensions: ['discovery'], signers: {} } }
    })
    const gateway = await startShop(`"${front.url}"`)
    const url = `${gateway.url}/v1/weather/paris`
    const unpaid = await fetch(url)
    const header = Buffer.from(unpaid.headers.get('payment-required') ?? '', 'base64').toString()
    const [v2] = JSON.parse(header).accepts
    const [v1] = JSON.parse(await unpaid.text()).accepts
    const domain = { name: 'USDC', version: '2' }
    expect([v2.extra, v1.extra]).toEqual([domain, domain])
    expect((await pay(url, await signFor(world.chain, url))).status).toBe(200)
  })

  test('a receiver that is not registered is refused with nothing charged', async () => {
    const front = await startFront(async ({ url = '' }) =>
      url.endsWith('/supported') ? null : { status: 403, body: { error: 'not whitelisted' } },
    )
    const gateway = await startShop(`"${front.url}"`)
    const url = `${gateway.url}/v1/weather/paris`
    const before = await world.chain.balanceOf(buyer.address)
    const refused = await pay(url, await signFor(world.chain, url))
    expect(refused.status).toBe(503)
    expect(await world.chain.balanceOf(buyer.address)).toBe(before)
  })
})

test('a key in the path is in no log and no metric, whatever happens', async () => {
  const key = 'sk-very-secret'
  const front = await startFront(async ({ url = '' }) => {
    expect(url).toContain(`/api/v1/${key}/`)
    return url.endsWith('/settle') ? { status: 500, body: { error: 'busy' } } : null
  })
  const entry = `{url: "${front.url}/api/v1", auth: {kind: path, key: ${key}}}`
  const gateway = await startShop(entry)
  const url = `${gateway.url}/v1/weather/paris`
  expect((await pay(url, await signFor(world.chain, url))).status).toBe(503)
  await expect.poll(() => JSON.stringify(gateway.logs)).toContain('settl')
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const ready = await (await fetch(`${gateway.adminUrl}/readyz`)).text()
  expect(`${JSON.stringify(gateway.logs)}${metrics}${ready}`).not.toContain(key)
})

test('a network that a facilitator knows by an alias alone is offered, without the alias', async () => {
  const kinds = [{ x402Version: 1, scheme: 'exact', network: 'kite-testnet' }]
  const front = await startFront(async () => ({ status: 200, body: { kinds } }))
  const gateway = await startShop(`"${front.url}"`, 'kite-testnet')
  const unpaid = await fetch(`${gateway.url}/v1/weather/paris`)
  expect(unpaid.status).toBe(402)
  const header = Buffer.from(unpaid.headers.get('payment-required') ?? '', 'base64').toString()
  expect(JSON.parse(header).accepts).toMatchObject([
    { network: 'eip155:2368', amount: `${10n ** 15n}`, extra: { name: 'pieUSD', version: '1' } },
  ])
  expect(`${header}${await unpaid.text()}`).not.toContain('kite-testnet')
})
