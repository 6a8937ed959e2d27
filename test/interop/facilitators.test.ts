import { expect, test } from 'vitest'
import { pay, signFor } from '../support/payments.ts'
import { openStreet } from './systems/dialect.ts'

/** Ways of facilitators that are nobody's own; those of one service are in `systems/`. */
const street = openStreet()

test('a key in the path is in no log and no metric, whatever happens', async () => {
  const key = 'sk-very-secret'
  const service = await street.startService(async ({ url }, next) => {
    expect(url).toContain(`/api/v1/${key}/`)
    return url.endsWith('/settle') ? { status: 500, body: { error: 'busy' } } : next()
  })
  const entry = `{url: "${service.url}/api/v1", auth: {kind: path, key: ${key}}}`
  const gateway = await street.startShop({ facilitators: entry })
  const url = `${gateway.url}/v1/weather/paris`
  expect((await pay(url, await signFor(street.world().chain, url))).status).toBe(503)
  await expect.poll(() => JSON.stringify(gateway.logs)).toContain('settl')
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const ready = await (await fetch(`${gateway.adminUrl}/readyz`)).text()
  expect(`${JSON.stringify(gateway.logs)}${metrics}${ready}`).not.toContain(key)
})

test('a network that a facilitator knows by an alias alone is offered, without the alias', async () => {
  const kinds = [{ x402Version: 1, scheme: 'exact', network: 'kite-testnet' }]
  const service = await street.startService(async () => ({ status: 200, body: { kinds } }))
  const shop = { facilitators: `"${service.url}"`, accepts: 'kite-testnet' }
  const gateway = await street.startShop(shop)
  const unpaid = await fetch(`${gateway.url}/v1/weather/paris`)
  expect(unpaid.status).toBe(402)
  const header = Buffer.from(unpaid.headers.get('payment-required') ?? '', 'base64').toString()
  expect(JSON.parse(header).accepts).toMatchObject([
    { network: 'eip155:2368', amount: `${10n ** 15n}`, extra: { name: 'pieUSD', version: '1' } },
  ])
  expect(`${header}${await unpaid.text()}`).not.toContain('kite-testnet')
})
