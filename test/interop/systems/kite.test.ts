import { x402Client } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm'
import { wrapFetchWithPayment } from '@x402/fetch'
import { expect, test } from 'vitest'
import { buyer, seller } from '../../support/accounts.ts'
import { readChallenge, readReceipt } from '../../support/payments.ts'
import { openStreet } from './dialect.ts'

const NETWORK = 'eip155:2368'
const PIE_USD = '0x38129cf4CE5E183eFF248F42A7D345Bb1B47621A'

const street = openStreet({ chainId: 2368, versions: [2] })

test('a cent is a cent in 18 decimals, and the official buyer pays it through /v2', async () => {
  const paths: string[] = []
  const service = await street.startService(({ url }, next) => {
    paths.push(url)
    return next()
  })
  const gateway = await street.startShop({
    facilitators: `"${service.url}/v2"`,
    accepts: 'kite-testnet',
    routes: '  GET /v1/weather/{city}: $0.01',
  })
  const url = `${gateway.url}/v1/weather/paris`
  const cent = 10n ** 16n
  expect(readChallenge(await fetch(url)).accepts).toMatchObject([
    {
      ...{ network: NETWORK, asset: PIE_USD, amount: cent.toString() },
      extra: { name: 'pieUSD', version: '1' },
    },
  ])
  const { chain } = street.world()
  const client = x402Client.fromConfig({
    schemes: [{ network: NETWORK, client: new ExactEvmScheme(buyer) }],
    // Not one of the tokens that a buyer of @x402 2.27 pays with unasked.
    spendControls: { allowedAssets: [{ network: NETWORK, asset: PIE_USD }] },
  })
  const before = await chain.balanceOf(seller.address)
  const paid = await wrapFetchWithPayment(fetch, client)(url)
  expect(paid.status).toBe(200)
  expect(await chain.balanceOf(seller.address)).toBe(before + cent)
  const hash = readReceipt(paid)?.transaction as `0x${string}` // the chain checks it next
  expect(await chain.publicClient.getTransactionReceipt({ hash })).toMatchObject({
    ...{ status: 'success', logs: [{ address: PIE_USD.toLowerCase() }, {}] },
  })
  expect(new Set(paths)).toEqual(new Set(['/v2/supported', '/v2/verify', '/v2/settle']))
})
