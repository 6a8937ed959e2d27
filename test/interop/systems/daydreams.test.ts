import { describe, expect, test } from 'vitest'
import { seller } from '../../support/accounts.ts'
import { pay, readChallenge, signFor } from '../../support/payments.ts'
import { type Dialect, openStreet, operationOf } from './dialect.ts'

const street = openStreet()

async function openShop(dialect: Dialect) {
  const service = await street.startService(dialect)
  const gateway = await street.startShop({ facilitators: `"${service.url}"` })
  return { gateway, url: `${gateway.url}/v1/weather/paris` }
}

const when =
  (operation: string, status: number, body: unknown): Dialect =>
  async ({ url }, next) =>
    operationOf(url) === operation ? { status, body } : next()

test('names of version 1 among the kinds of version 2 make no offer and break none', async () => {
  const kinds = [
    { x402Version: 2, scheme: 'exact', network: 'base-sepolia' },
    { x402Version: 2, scheme: 'upto', network: 'starknet:SN_MAIN' },
    { x402Version: 2, scheme: 'exact', network: 'eip155:84532' },
  ]
  const { url } = await openShop(when('supported', 200, { kinds, extensions: [], signers: {} }))
  const { accepts } = readChallenge(await fetch(url))
  expect(accepts).toMatchObject([{ scheme: 'exact', network: 'eip155:84532' }])
  expect((await pay(url, await signFor(street.world().chain, url))).status).toBe(200)
})

describe('a settle that fails', () => {
  const network = 'eip155:84532'
  const aborted = { success: false, errorReason: 'insufficient_funds', network }

  test('without a transaction is a refusal: nothing is charged or served', async () => {
    const { gateway, url } = await openShop(when('settle', 200, aborted))
    const { chain } = street.world()
    const before = await chain.balanceOf(seller.address)
    const refused = await pay(url, await signFor(chain, url))
    expect(refused.status).toBe(402)
    expect(gateway.states()).toEqual(['released'])
    expect(await chain.balanceOf(seller.address)).toBe(before)
  })

  test.each([
    ['for a reason of its own', 200, { ...aborted, errorReason: 'Settlement aborted: hook' }],
    ['with an exception', 500, { error: 'RPC request failed' }],
    ['because a field is missing', 400, { error: 'Missing payment payload or requirements' }],
  ])('%s stays open: nobody knows what was sent', async (_, status, body) => {
    const { gateway, url } = await openShop(when('settle', status, body))
    const open = await pay(url, await signFor(street.world().chain, url))
    expect(open.status).toBe(503)
    expect(await open.json()).toMatchObject({ code: 'settlement_pending' })
    expect(gateway.states()).toEqual(['unknown'])
  })
})

test.each([
  [500, { error: 'RPC request failed' }],
  [400, { error: 'Missing payment payload or requirements' }],
])('a verify that fails with %i and an error refuses nobody', async (status, body) => {
  const { gateway, url } = await openShop(when('verify', status, body))
  const refused = await pay(url, await signFor(street.world().chain, url))
  expect(refused.status).toBe(503)
  expect(await refused.json()).toMatchObject({ code: 'facilitator_unavailable' })
  expect(gateway.states()).toEqual([])
})
