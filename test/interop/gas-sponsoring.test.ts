import { x402Client } from '@x402/core/client'
import { ExactEvmScheme, toClientEvmSigner } from '@x402/evm'
import {
  declareEip2612GasSponsoringExtension,
  declareErc20ApprovalGasSponsoringExtension,
} from '@x402/extensions'
import { wrapFetchWithPayment } from '@x402/fetch'
import { maxUint256 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, test } from 'vitest'
import { declareGasSponsoring } from '../../src/x402/gas-sponsoring.ts'
import { buyer, FACILITATOR_PRIVATE_KEY, publicTestKey, seller } from '../support/accounts.ts'
import { PERMIT2_ADDRESS, PLAIN_TOKEN } from '../support/chain.ts'
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
function officialBuyer(account = buyer) {
  const { publicClient } = street.world().chain
  const signer = toClientEvmSigner(account, publicClient as Parameters<typeof toClientEvmSigner>[1]) // looser there
  const client = x402Client.fromConfig({
    schemes: [{ network: NETWORK, client: new ExactEvmScheme(signer) }],
    // Not one of the tokens that a buyer of @x402 2.27 pays with unasked.
    spendControls: { allowedAssets: [{ network: NETWORK, asset: PLAIN_TOKEN }] },
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

describe('a token with neither EIP-3009 nor EIP-2612', () => {
  const BOTH = ['eip2612GasSponsoring', 'erc20ApprovalGasSponsoring']
  const PRICE = 1_000n
  const token = `{symbol: PLAIN, address: "${PLAIN_TOKEN}", decimals: 6, transferMethod: permit2}`

  const startPlainShop = (facilitators: string, more = '') =>
    street.startShop({
      facilitators,
      top: `networks: {mezo-testnet: {${more}assets: [${token}]}}`,
      accepts: '{network: mezo-testnet, asset: PLAIN}',
      routes: '  GET /v1/weather/{city}: {price: {PLAIN: 0.001}}',
    })

  test('is paid by a buyer without gas or approval, through a facilitator that sends the approval', async () => {
    const { chain } = street.world()
    await chain.mint(buyer.address, PRICE, PLAIN_TOKEN)
    const sponsor = street.keep(await startFacilitator({ chain, versions: [2], extensions: BOTH }))
    const gateway = await startPlainShop(`"${sponsor.url}"`)
    const url = `${gateway.url}/v1/weather/paris`
    expect(Object.keys(await extensionsOf(url))).toEqual(['payment-identifier', ...BOTH])
    expect(await chain.publicClient.getBalance({ address: buyer.address })).toBe(0n)
    const paid = await officialBuyer()(url)
    expect({ status: paid.status, body: await paid.text() }).toMatchObject({ status: 200 })
    expect(await chain.balanceOf(seller.address, PLAIN_TOKEN)).toBe(PRICE)
    for (const call of [sponsor.calls.verify.at(-1), sponsor.calls.settle.at(-1)]) {
      const { extensions } = Object(call).paymentPayload
      // This client sends back all that the challenge said; it signed for one of them.
      expect(extensions.eip2612GasSponsoring.info).not.toHaveProperty('from')
      expect(extensions.erc20ApprovalGasSponsoring.info).toMatchObject({
        ...{ from: buyer.address, asset: PLAIN_TOKEN, spender: PERMIT2_ADDRESS },
        ...{ amount: maxUint256.toString(), signedTransaction: expect.stringMatching(/^0x02/) },
      })
    }
  })

  test('is not offered so by a facilitator that sends no approvals, nor without a facilitator', async () => {
    const { chain, facilitator } = street.world()
    const key = `{local: {networks: {mezo-testnet: {}}, key: "${FACILITATOR_PRIVATE_KEY}"}}`
    const shops = [
      await startPlainShop(`"${facilitator.url}"`),
      await startPlainShop(key, `rpc: ["${chain.rpcUrl}"], finality: 0, `),
    ]
    for (const { url } of shops) {
      const extensions = await extensionsOf(`${url}/v1/weather/paris`)
      expect(Object.keys(extensions)).toEqual(['payment-identifier', 'eip2612GasSponsoring'])
    }
  })

  test('does not move on to a facilitator that would not send what the payer signed', async () => {
    const { chain, facilitator } = street.world()
    const sponsor = await startFacilitator({ chain, versions: [2], extensions: BOTH })
    const gateway = await startPlainShop(`"${sponsor.url}", "${facilitator.url}"`)
    await sponsor.close()
    facilitator.calls.verify.length = 0
    const other = privateKeyToAccount(publicTestKey('a buyer who has approved nothing'))
    await chain.mint(other.address, PRICE, PLAIN_TOKEN)
    const refused = await officialBuyer(other)(`${gateway.url}/v1/weather/paris`)
    expect(refused.status).toBe(503)
    expect(facilitator.calls.verify).toEqual([])
  })
})
