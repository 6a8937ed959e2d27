import { x402Client } from '@x402/core/client'
import { ExactEvmScheme, toClientEvmSigner } from '@x402/evm'
import {
  declareEip2612GasSponsoringExtension,
  declareErc20ApprovalGasSponsoringExtension,
} from '@x402/extensions'
import { wrapFetchWithPayment } from '@x402/fetch'
import { describe, expect, test } from 'vitest'
import { declareGasSponsoring } from '../../src/x402/gas-sponsoring.ts'
import { buyer, FACILITATOR_PRIVATE_KEY, seller } from '../support/accounts.ts'
import { PERMIT2_ADDRESS } from '../support/chain.ts'
import { startFacilitator } from '../support/facilitator.ts'
import { testDollarAbi } from '../support/token/abi.ts'
import { openStreet } from './systems/dialect.ts'

/** Mezo's test network: its token has EIP-2612, and no EIP-3009. */
const NETWORK = 'eip155:31611'
const MILL = 10n ** 15n

const street = openStreet({
  ...{ chainId: 31611, versions: [2] },
  extensions: ['eip2612GasSponsoring', 'bazaar'],
})

const startShop = (facilitators: string, top = '') =>
  street.startShop({ facilitators, top, accepts: 'mezo-testnet' })

/** Reads the chain and signs; it has no gas. */
function officialBuyer() {
  const { publicClient } = street.world().chain
  const signer = toClientEvmSigner(buyer, publicClient as Parameters<typeof toClientEvmSigner>[1]) // looser there
  const client = x402Client.fromConfig({
    schemes: [{ network: NETWORK, client: new ExactEvmScheme(signer) }],
  })
  return wrapFetchWithPayment(fetch, client)
}

async function extensionsOf(url: string): Promise<Record<string, unknown>> {
  const header = (await fetch(url)).headers.get('payment-required') ?? ''
  return JSON.parse(Buffer.from(header, 'base64').toString()).extensions
}

test('both are declared as the published library declares them', () => {
  expect(declareGasSponsoring(['eip2612GasSponsoring', 'erc20ApprovalGasSponsoring'])).toEqual({
    ...declareEip2612GasSponsoringExtension(),
    ...declareErc20ApprovalGasSponsoringExtension(),
  })
})

async function payOnce(url: string): Promise<void> {
  const { chain } = street.world()
  const before = await chain.balanceOf(seller.address)
  expect(await chain.publicClient.getBalance({ address: buyer.address })).toBe(0n)
  const paid = await officialBuyer()(url)
  expect({ status: paid.status, body: await paid.text() }).toMatchObject({ status: 200 })
  expect(await chain.balanceOf(seller.address)).toBe(before + MILL)
  expect(
    await chain.publicClient.readContract({
      ...{ address: chain.token, abi: testDollarAbi, functionName: 'allowance' },
      args: [buyer.address, PERMIT2_ADDRESS],
    }),
  ).toBe(0n)
}

describe('a token without EIP-3009', () => {
  test('is paid by a buyer without gas or approval, through a facilitator that sponsors', async () => {
    const { facilitator } = street.world()
    const gateway = await startShop(`"${facilitator.url}"`)
    const url = `${gateway.url}/v1/weather/paris`
    expect(Object.keys(await extensionsOf(url))).toEqual([
      'payment-identifier',
      'eip2612GasSponsoring',
    ])
    await payOnce(url)
    // What the payer signed goes on as it came, and our own extension does not.
    for (const call of [facilitator.calls.verify.at(-1), facilitator.calls.settle.at(-1)]) {
      const { extensions } = Object(call).paymentPayload
      expect(Object.keys(extensions)).toEqual(['eip2612GasSponsoring'])
      expect(extensions.eip2612GasSponsoring.info).toMatchObject({
        ...{ from: buyer.address, spender: PERMIT2_ADDRESS, amount: MILL.toString() },
        signature: expect.stringMatching(/^0x[0-9a-f]{130}$/),
      })
    }
  })

  test('is not offered so by a facilitator that does not sponsor', async () => {
    const { chain, facilitator } = street.world()
    const plain = street.keep(await startFacilitator({ chain, versions: [2] }))
    const gateway = await startShop(`"${plain.url}", "${facilitator.url}"`)
    const url = `${gateway.url}/v1/weather/paris`
    expect(Object.keys(await extensionsOf(url))).toEqual(['payment-identifier'])
  })

  test('does not move on to a facilitator that would refuse what the payer signed', async () => {
    const { chain } = street.world()
    const sponsor = await startFacilitator({
      ...{ chain, versions: [2] },
      extensions: ['eip2612GasSponsoring'],
    })
    const plain = street.keep(await startFacilitator({ chain, versions: [2] }))
    const gateway = await startShop(`"${sponsor.url}", "${plain.url}"`)
    await sponsor.close()
    const refused = await officialBuyer()(`${gateway.url}/v1/weather/paris`)
    expect(refused.status).toBe(503)
    expect(plain.calls.verify).toEqual([])
  })

  test('is paid without a facilitator as well', async () => {
    const { chain } = street.world()
    const key = `{local: {networks: {mezo-testnet: {}}, key: "${FACILITATOR_PRIVATE_KEY}"}}`
    const top = `networks: {mezo-testnet: {rpc: ["${chain.rpcUrl}"], finality: 0}}`
    const gateway = await startShop(key, top)
    const url = `${gateway.url}/v1/weather/paris`
    expect(Object.keys(await extensionsOf(url))).toContain('eip2612GasSponsoring')
    await payOnce(url)
  })
})
