import { expect, test } from 'vitest'
import { buyer, seller } from '../../support/accounts.ts'
import { pay, signFor } from '../../support/payments.ts'
import { openStreet, operationOf } from './dialect.ts'

const street = openStreet()

test('its wrong name for a token reaches no buyer, and payments settle', async () => {
  const extra = { name: 'USD Coin', version: '1', asset: `0x${'00'.repeat(19)}01` }
  const kind = { scheme: 'exact', extra }
  const kinds = [
    { ...kind, x402Version: 2, network: 'eip155:84532' },
    { ...kind, x402Version: 1, network: 'base-sepolia' },
  ]
  const body = { kinds, extensions: ['discovery'], signers: {} }
  const service = await street.startService(async ({ url }, next) =>
    operationOf(url) === 'supported' ? { status: 200, body } : next(),
  )
  const gateway = await street.startShop({ facilitators: `"${service.url}"` })
  const url = `${gateway.url}/v1/weather/paris`
  const unpaid = await fetch(url)
  const header = Buffer.from(unpaid.headers.get('payment-required') ?? '', 'base64').toString()
  const [v2] = JSON.parse(header).accepts
  const [v1] = JSON.parse(await unpaid.text()).accepts
  const domain = { name: 'USDC', version: '2' }
  expect([v2.extra, v1.extra]).toEqual([domain, domain])
  expect((await pay(url, await signFor(street.world().chain, url))).status).toBe(200)
})

test.each([
  ['that is not registered is refused with nothing charged', [], 503, 0n],
  ['that is registered is paid', [seller.address], 200, 1_000n],
])('a receiver %s', async (_, registered: string[], status, moved) => {
  const service = await street.startService(async ({ url, body }, next) => {
    if (operationOf(url) === 'supported') return next()
    const { payTo } = Object(body).paymentRequirements
    if (registered.includes(payTo)) return next()
    return { status: 403, body: { error: 'Address is not whitelisted' } }
  })
  const gateway = await street.startShop({ facilitators: `"${service.url}"` })
  const url = `${gateway.url}/v1/weather/paris`
  const { chain } = street.world()
  const before = await chain.balanceOf(buyer.address)
  const answered = await pay(url, await signFor(chain, url))
  expect(answered.status).toBe(status)
  expect(await chain.balanceOf(buyer.address)).toBe(before - moved)
})
