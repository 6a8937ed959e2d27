import { createTestClient, http, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { PaymentPayload } from '../../../src/core/payment.ts'
import { FACILITATOR_PRIVATE_KEY, seller } from '../../support/accounts.ts'
import { type Chain, startChain } from '../../support/chain.ts'
import {
  type LocalChange,
  privateKey,
  startLocalFacilitator,
  type TestLocalFacilitator,
} from '../../support/local-facilitator.ts'
import { type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'
import { createOffer, NETWORK, paymentOf } from '../../x402/payments.ts'

const PRICE = 1_000n
const { requirements } = createOffer({ amount: PRICE.toString() })
const offer = createOffer(requirements)
const main = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)
const UNAVAILABLE = { code: 'facilitator_unavailable' }

let chain: Chain
let control: ReturnType<typeof createTestClient>
let facilitator: TestLocalFacilitator | null = null
let node: RpcProxy | null = null

beforeAll(async () => {
  chain = await startChain()
  control = createTestClient({ mode: 'anvil', transport: http(chain.rpcUrl) })
})
afterAll(() => chain.close())
afterEach(async () => {
  await facilitator?.close()
  await node?.close()
  facilitator = null
  node = null
})

async function open(change: LocalChange): Promise<TestLocalFacilitator> {
  facilitator = await startLocalFacilitator(chain, change)
  return facilitator
}

async function payment(): Promise<PaymentPayload> {
  const payer = privateKeyToAccount(generatePrivateKey())
  await chain.mint(payer.address, PRICE)
  return paymentOf(payer, offer)
}

const countOf = (address: `0x${string}`) => chain.publicClient.getTransactionCount({ address })

test('a key without gas sends nothing, says so with its address, and goes on when it has some', async () => {
  const poor = generatePrivateKey()
  const { address } = privateKeyToAccount(poor)
  const local = await open({ keys: [privateKey(poor)] })
  const asked = await payment()
  expect(await local.verify(asked, requirements)).toMatchObject({ isValid: true })
  const refusal = await local.settle(asked, requirements).catch((error: unknown) => error)
  expect(refusal).toMatchObject(UNAVAILABLE)
  expect(String(refusal)).toContain(address)
  expect(String(refusal)).not.toContain(poor.slice(2))
  expect(local.gas.at(-1)).toMatchObject({ network: NETWORK, address, balanceWei: 0n, isLow: true })
  await control.setBalance({ address, value: parseEther('1') })
  expect(await local.settle(asked, requirements)).toMatchObject({ success: true })
  expect(local.gas.at(-1)).toMatchObject({ isLow: false })
})

test('a key with gas takes over from one without', async () => {
  const poor = generatePrivateKey()
  const local = await open({ keys: [privateKey(poor), privateKey(FACILITATOR_PRIVATE_KEY)] })
  expect(await local.settle(await payment(), requirements)).toMatchObject({ success: true })
})

test('several keys share the work', async () => {
  const keys = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const key = generatePrivateKey()
      const { address } = privateKeyToAccount(key)
      await control.setBalance({ address, value: parseEther('1') })
      return { key, address }
    }),
  )
  const local = await open({ keys: keys.map(({ key }) => privateKey(key)) })
  const asked = await Promise.all(Array.from({ length: 12 }, payment))
  const answers = await Promise.all(asked.map(one => local.settle(one, requirements)))
  expect(answers.every(({ success }) => success)).toBe(true)
  const counts = await Promise.all(keys.map(({ address }) => countOf(address)))
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(12)
  expect(Math.min(...counts)).toBeGreaterThan(0)
})

test('gas above the cap is not bought', async () => {
  const local = await open({ networks: [{ id: NETWORK, feeCap: 10n }] })
  const before = await countOf(main.address)
  await expect(local.settle(await payment(), requirements)).rejects.toMatchObject(UNAVAILABLE)
  expect(await countOf(main.address)).toBe(before)
})

test('a transaction that would use more gas than it may is not sent', async () => {
  const local = await open({ gasMax: 50_000n })
  const before = await countOf(main.address)
  await expect(local.settle(await payment(), requirements)).rejects.toMatchObject(UNAVAILABLE)
  expect(await countOf(main.address)).toBe(before)
})

test('a payer with the money for one payment does not make us send ten', async () => {
  const payer = privateKeyToAccount(generatePrivateKey())
  await chain.mint(payer.address, PRICE)
  const asked = await Promise.all(Array.from({ length: 10 }, () => paymentOf(payer, offer)))
  const local = await open({})
  const before = await countOf(main.address)
  const answers = await Promise.allSettled(asked.map(one => local.settle(one, requirements)))
  const settled = answers.filter(answer => answer.status === 'fulfilled' && answer.value.success)
  expect(settled).toHaveLength(1)
  expect(await countOf(main.address)).toBe(before + 1)
})

test('a wallet is deployed through no factory that is not allowed', async () => {
  const local = await open({})
  const asked = await payment()
  const magic = '6492'.repeat(16)
  const word = (hex: string) => hex.padStart(64, '0')
  const wrapped = `0x${word(seller.address.slice(2))}${word('60')}${word('80')}${word('0')}${word('0')}${magic}`
  const counterfactual = { ...asked, payload: { ...asked.payload, signature: wrapped } }
  const invalidReason = 'eip6492_factory_not_allowed'
  expect(await local.verify(counterfactual, requirements)).toMatchObject({
    isValid: false,
    invalidReason,
  })
})

test('a service signs instead of a key in the configuration', async () => {
  // Anvil holds this account's key and answers eth_signTransaction, as web3signer does.
  node = await startRpcProxy(chain.rpcUrl)
  const signer = { kind: 'remote', url: node.url, address: main.address } as const
  const local = await open({ keys: [signer] })
  expect(await local.settle(await payment(), requirements)).toMatchObject({ success: true })
  expect(node.calls.map(({ method }) => method)).toEqual(['eth_signTransaction'])
})

test.each([
  ['nothing', null],
  ['another transaction', `0x02${'00'.repeat(100)}`],
])('a service that signs %s sends nothing', async (_, result) => {
  node = await startRpcProxy(chain.rpcUrl, () => ({ kind: 'result', result }))
  const signer = { kind: 'remote', url: node.url, address: main.address } as const
  const local = await open({ keys: [signer] })
  const before = await countOf(main.address)
  await expect(local.settle(await payment(), requirements)).rejects.toMatchObject(UNAVAILABLE)
  expect(await countOf(main.address)).toBe(before)
  const good = await payment()
  node.answer = () => null
  expect(await local.settle(good, requirements)).toMatchObject({ success: true })
})

test('a node that fails is left alone, and the next one does the work', async () => {
  node = await startRpcProxy(chain.rpcUrl, () => ({ kind: 'reset' }))
  const local = await open({ rpc: [node.url, chain.rpcUrl] })
  expect(await local.settle(await payment(), requirements)).toMatchObject({ success: true })
  const asked = node.calls.length
  expect(await local.settle(await payment(), requirements)).toMatchObject({ success: true })
  expect(node.calls.length).toBeLessThanOrEqual(asked + 2)
})

test('a chain that does not answer makes no payment look wrong, and its URL is not told', async () => {
  const secret = 'k3y-of-the-node'
  node = await startRpcProxy(chain.rpcUrl)
  const local = await open({ rpc: [`${node.url}/${secret}`] })
  const asked = await payment()
  expect(await local.verify(asked, requirements)).toMatchObject({ isValid: true })
  node.answer = () => ({ kind: 'http', status: 503 })
  for (const operation of ['verify', 'settle'] as const) {
    const error = await local[operation](asked, requirements).catch((reason: unknown) => reason)
    expect(error).toMatchObject(UNAVAILABLE)
    expect(String(error) + String(Object(error).cause)).not.toContain(secret)
  }
})

test.each([
  'eth_call',
  'eth_getCode',
  'eth_sendRawTransaction',
  'eth_getTransactionCount',
  'eth_getTransactionReceipt',
])('a node that fails at %s loses nothing', async method => {
  const proxy = await startRpcProxy(chain.rpcUrl)
  node = proxy
  const local = await open({ rpc: [proxy.url], settleTimeoutMs: 1_500 })
  // From the second one on, what is known of the first is used.
  expect(await local.settle(await payment(), requirements)).toMatchObject({ success: true })
  proxy.answer = call => (call.method === method ? { kind: 'reset' } : null)
  const asked = await payment()
  const first = await local.settle(asked, requirements).catch((error: unknown) => error)
  // Either nothing was sent, or it is under way: never a refusal.
  expect([Object(first).code, Object(first).errorReason]).toContainEqual(
    expect.stringMatching(/^(facilitator_unavailable|settlement_pending)$/),
  )
  const before = await chain.balanceOf(seller.address)
  proxy.answer = () => null
  await expect.poll(() => local.settle(asked, requirements)).toMatchObject({ success: true })
  expect(await chain.balanceOf(seller.address)).toBeLessThanOrEqual(before + PRICE)
})

test('a journal has one owner', async () => {
  const local = await open({})
  await local.supported()
  const other = await startLocalFacilitator(chain, { journal: local.journal })
  await expect(other.supported()).rejects.toMatchObject({ code: 'store_unavailable' })
  expect(other.errors).toMatchObject([{ code: 'store_unavailable' }])
  await other.close()
})
