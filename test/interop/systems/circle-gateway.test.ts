import { registerBatchScheme } from '@circle-fin/x402-batching/client'
import { type SelectPaymentRequirements, x402Client } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm'
import { wrapFetchWithPayment } from '@x402/fetch'
import { type Hex, recoverTypedDataAddress } from 'viem'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { eip3009Payload } from '../../../src/x402/wire.ts'
import { buyer, seller } from '../../support/accounts.ts'
import { tokenTypes } from '../../support/authorizations.ts'
import { TOKEN_ADDRESS } from '../../support/chain.ts'
import { readChallenge, readReceipt } from '../../support/payments.ts'
import { type Asked, type Dialect, openStreet, operationOf } from './dialect.ts'

/** Circle's contract on test networks (@circle-fin/x402-batching 3.3.0). */
const WALLET: Hex = '0x0077777d7EBA4688BDeF3E311b846F25870A19B9'
const SEVEN_DAYS_SECONDS = 7 * 24 * 3600
const ACCEPTS = '{network: base-sepolia, via: circle-gateway}'
const ROUTES = '  GET /v1/weather/{city}: {price: $0.001, settle: before-upstream}'

const street = openStreet()

const requestBody = z.strictObject({
  paymentPayload: z.looseObject({ payload: eip3009Payload, accepted: z.looseObject({}) }),
  paymentRequirements: z.looseObject({
    asset: z.literal(TOKEN_ADDRESS),
    amount: z.string(),
    payTo: z.string(),
    extra: z.looseObject({
      name: z.literal('GatewayWalletBatched'),
      version: z.literal('1'),
      verifyingContract: z.literal(WALLET),
    }),
  }),
})

/** Circle's books: what each payment moved, by its nonce, and what was asked in which order. */
function openBooks() {
  const entries = new Map<string, { id: string; to: string; value: bigint }>()
  const asked: string[] = []

  async function check(body: unknown) {
    const { paymentPayload, paymentRequirements } = requestBody.parse(body)
    const { signature, authorization } = paymentPayload.payload
    const { from, to, value, validAfter, validBefore, nonce } = authorization
    const payer = await recoverTypedDataAddress({
      domain: {
        ...{ name: 'GatewayWalletBatched', version: '1', chainId: 84532 },
        verifyingContract: WALLET,
      },
      ...{
        types: tokenTypes,
        primaryType: 'TransferWithAuthorization',
        signature: signature as Hex,
      }, // parsed
      message: {
        ...{ from: from as Hex, to: to as Hex, nonce: nonce as Hex }, // parsed as such
        ...{ value: BigInt(value), validAfter: BigInt(validAfter) },
        validBefore: BigInt(validBefore),
      },
    })
    const good =
      payer === from &&
      to === paymentRequirements.payTo &&
      value === paymentRequirements.amount &&
      Number(validBefore) >= Date.now() / 1000 + SEVEN_DAYS_SECONDS
    return { good, from, to, nonce, value: BigInt(value) }
  }

  const dialect: Dialect = async ({ url, body }: Asked) => {
    const operation = operationOf(url)
    asked.push(operation)
    if (operation === 'supported') return { status: 200, body: supported }
    const { good, from, to, nonce, value } = await check(body)
    if (operation === 'verify') {
      return { status: 200, body: { isValid: good, payer: from, ...(good ? {} : REFUSED) } }
    }
    const network = 'eip155:84532'
    const entry = entries.get(nonce) ?? { id: crypto.randomUUID(), to, value }
    if (good) entries.set(nonce, entry)
    const transaction = good ? entry.id : ''
    return { status: 200, body: { success: good, transaction, network, payer: from } }
  }
  return { entries, asked, dialect }
}

const REFUSED = { invalidReason: 'invalid_signature' }
const supported = {
  kinds: [
    {
      ...{ x402Version: 2, scheme: 'exact', network: 'eip155:84532' },
      extra: { name: 'GatewayWalletBatched', version: '1', verifyingContract: WALLET },
    },
  ],
  extensions: [],
  signers: {},
}

/** Its scheme names no default tokens, so that @x402/core 2.27 has to be told which it may pay with. */
function circlesBuyer(choose?: SelectPaymentRequirements) {
  const client = x402Client.fromConfig({
    schemes: [],
    spendControls: { allowedAssets: [{ network: 'eip155:84532', asset: TOKEN_ADDRESS }] },
    ...(choose === undefined ? {} : { paymentRequirementsSelector: choose }),
  })
  registerBatchScheme(client, { signer: buyer, fallbackScheme: new ExactEvmScheme(buyer) })
  return wrapFetchWithPayment(fetch, client)
}

function ordinaryBuyer() {
  const schemes = [{ network: 'eip155:84532', client: new ExactEvmScheme(buyer) } as const]
  return wrapFetchWithPayment(fetch, x402Client.fromConfig({ schemes }))
}

async function openShop(accepts = ACCEPTS, more: { readonly top?: string } = {}) {
  const books = openBooks()
  const service = await street.startService(books.dialect)
  const url = `"${service.url}/v1/x402"`
  const shop = (facilitators: string) =>
    street.startShop({ facilitators, accepts, routes: ROUTES, ...more })
  return { books, url, shop }
}

test("Circle's buyer pays from a balance, which is settled before the API is asked", async () => {
  const { books, url, shop } = await openShop()
  const gateway = await shop(url)
  const unpaid = await fetch(`${gateway.url}/v1/weather/paris`)
  expect(readChallenge(unpaid).accepts).toMatchObject([
    {
      ...{ scheme: 'exact', network: 'eip155:84532', asset: TOKEN_ADDRESS, amount: '1000' },
      maxTimeoutSeconds: 604_900,
      extra: { name: 'GatewayWalletBatched', version: '1', verifyingContract: WALLET },
    },
  ])
  const { api, chain } = street.world()
  const before = await chain.balanceOf(seller.address)
  api.requests.length = 0
  const paid = await circlesBuyer()(`${gateway.url}/v1/weather/paris`)
  expect(paid.status).toBe(200)
  expect(await paid.json()).toMatchObject({ city: 'paris' })
  const [entry, ...others] = [...books.entries.values()]
  expect([entry, others]).toMatchObject([{ to: seller.address, value: 1_000n }, []])
  expect(readReceipt(paid)).toMatchObject({ success: true, transaction: entry?.id })
  expect(books.asked.filter(one => one !== 'supported')).toEqual(['verify', 'settle'])
  expect(api.requests).toHaveLength(1)
  await expect.poll(() => gateway.states()).toEqual(['delivered'])
  expect(await chain.balanceOf(seller.address)).toBe(before)
})

test('a buyer who has no such balance is refused: nothing is settled and nothing served', async () => {
  const { books, url, shop } = await openShop()
  const gateway = await shop(url)
  const { api } = street.world()
  api.requests.length = 0
  // It signs for the token, as it would for any offer.
  const refused = await ordinaryBuyer()(`${gateway.url}/v1/weather/paris`)
  expect(refused.status).toBe(402)
  expect([books.entries.size, api.requests.length]).toEqual([0, 0])
  expect(gateway.states()).toEqual([])
})

test.each([
  ['first', (own: string, other: string) => `${own}, ${other}`],
  ['last', (own: string, other: string) => `${other}, ${own}`],
])(
  'of two that take the same scheme and network, each gets its own: Circle %s',
  async (_, list) => {
    const { books, url, shop } = await openShop(`base-sepolia, ${ACCEPTS}`)
    const { chain, facilitator } = street.world()
    const gateway = await shop(list(url, `"${facilitator.url}"`))
    const settledBefore = facilitator.calls.settle.length
    const before = await chain.balanceOf(seller.address)
    const weather = `${gateway.url}/v1/weather/paris`

    expect((await ordinaryBuyer()(weather)).status).toBe(200)
    expect(await chain.balanceOf(seller.address)).toBe(before + 1_000n)
    expect([facilitator.calls.settle.length - settledBefore, books.entries.size]).toEqual([1, 0])

    const fromBalance = circlesBuyer((_version, accepts) => accepts.at(-1) ?? fail())
    expect((await fromBalance(weather)).status).toBe(200)
    expect(await chain.balanceOf(seller.address)).toBe(before + 1_000n)
    expect([facilitator.calls.settle.length - settledBefore, books.entries.size]).toEqual([1, 1])
  },
)

function fail(): never {
  throw new Error('There is no offer.')
}

test("a settle without an answer is asked of Circle again, and never of the token's chain", async () => {
  const books = openBooks()
  let lost = 0
  const service = await street.startService(async (asked, next) => {
    const answer = await books.dialect(asked, next)
    return operationOf(asked.url) === 'settle' && lost++ === 0 ? 'hang-up' : answer
  })
  const { chain } = street.world()
  const gateway = await street.startShop({
    ...{ facilitators: `"${service.url}"`, accepts: ACCEPTS, routes: ROUTES },
    top: `networks: {base-sepolia: {rpc: ["${chain.rpcUrl}"], finality: 0}}`,
  })
  const pending = await circlesBuyer()(`${gateway.url}/v1/weather/paris`)
  expect(pending.status).toBe(503)
  expect(await pending.json()).toMatchObject({ code: 'settlement_pending' })
  await expect.poll(() => gateway.states()).toEqual(['settled'])
  expect(books.entries.size).toBe(1)
})
