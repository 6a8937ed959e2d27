import { fileURLToPath } from 'node:url'
import {
  type Address,
  createTestClient,
  createWalletClient,
  type Hex,
  http,
  keccak256,
  parseGwei,
  publicActions,
  walletActions,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PaymentPayload } from '../../../src/core/payment.ts'
import { FacilitatorUnavailableError } from '../../../src/errors.ts'
import type { SettleAnswer } from '../../../src/facilitator/facilitator.ts'
import { openOutbox } from '../../../src/facilitator/local/outbox.ts'
import { FACILITATOR_PRIVATE_KEY, seller } from '../../support/accounts.ts'
import { type Chain, startChain, viemChain } from '../../support/chain.ts'
import {
  type LocalChange,
  startLocalFacilitator,
  type TestLocalFacilitator,
} from '../../support/local-facilitator.ts'
import { spawnTied } from '../../support/tied-process.ts'
import { testDollarAbi } from '../../support/token/abi.ts'
import { createOffer, NETWORK, paymentOf } from '../../x402/payments.ts'

const PRICE = 1_000n
const { requirements } = createOffer({ amount: PRICE.toString(), maxTimeoutSeconds: 3_600 })
const offer = createOffer(requirements)
const sender = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)

let chain: Chain
let facilitator: TestLocalFacilitator
let control: ReturnType<typeof controlOf>

const controlOf = ({ rpcUrl, chainId }: Chain) =>
  createTestClient({
    ...{ mode: 'anvil', account: sender, chain: viemChain(rpcUrl, chainId) },
    transport: http(rpcUrl),
    pollingInterval: 20,
  })
    .extend(publicActions)
    .extend(walletActions)

afterEach(async () => {
  await facilitator.close()
  await chain.close()
})

async function open(blockTimeSeconds: number | null, change: LocalChange = {}, keepState = false) {
  chain = await startChain({
    keepState,
    ...(blockTimeSeconds === null ? {} : { blockTimeSeconds }),
  })
  control = controlOf(chain)
  facilitator = await startLocalFacilitator(chain, change)
}

async function payments(count: number): Promise<PaymentPayload[]> {
  const made = Array.from({ length: count }, async () => {
    const payer = privateKeyToAccount(generatePrivateKey())
    await chain.mint(payer.address, PRICE)
    return paymentOf(payer, offer)
  })
  return Promise.all(made)
}

async function onePayment(): Promise<PaymentPayload> {
  const [payment] = await payments(1)
  if (payment === undefined) throw new Error('One was asked for.')
  return payment
}

const settle = (payload: PaymentPayload) => facilitator.settle(payload, requirements)
const nonceOf = (address: Address) => chain.publicClient.getTransactionCount({ address })

async function pending(): Promise<string[]> {
  const content = await control.getTxpoolContent()
  return Object.values(content.pending).flatMap(of => Object.values(of).map(({ hash }) => hash))
}

const waitFor = { timeout: 15_000, interval: 50 }

/** Every one is settled, for the price each, by one transaction each. */
async function expectAllSettled(
  answers: Promise<readonly Awaited<ReturnType<typeof settle>>[]>,
  count: number,
): Promise<void> {
  const settled = await answers
  expect(settled.filter(({ success }) => success)).toHaveLength(count)
  expect(new Set(settled.map(({ transaction }) => transaction)).size).toBe(count)
  expect(await chain.balanceOf(seller.address)).toBe(BigInt(count) * PRICE)
  expect(await nonceOf(sender.address)).toBe(count)
}

describe('with blocks that come when the test wants them', () => {
  const HOURS = 3_600
  beforeEach(() => open(HOURS))

  test('transactions that the node drops are handed over again, byte for byte', async () => {
    const asked = await payments(12)
    const answers = Promise.all(asked.map(settle))
    await expect.poll(pending, waitFor).toHaveLength(12)
    const before = (await pending()).sort()
    await control.dropTransaction({ hash: before[5] as Hex }) // a hole in the middle
    await control.mine({ blocks: 1 })
    await control.request({ method: 'anvil_dropAllTransactions' } as never) // viem has no name for it
    await expect
      .poll(async () => {
        await control.mine({ blocks: 1 })
        return nonceOf(sender.address)
      }, waitFor)
      .toBe(12)
    await expectAllSettled(answers, 12)
    const hashes = (await answers).map(({ transaction }) => transaction)
    expect(hashes.sort()).toEqual(before)
  })

  test('a settlement in no block is pending by its hash, and asked for again it is the same one', async () => {
    await facilitator.close()
    facilitator = await startLocalFacilitator(chain, { settleTimeoutMs: 600 })
    const payment = await onePayment()
    const first = await settle(payment)
    expect(first).toMatchObject({ success: false, errorReason: 'settlement_pending' })
    expect(await pending()).toEqual([first.transaction])
    const again = await settle(payment)
    expect(again).toEqual(first)
    expect(await pending()).toEqual([first.transaction])
    await control.mine({ blocks: 1 })
    await expect.poll(() => settle(payment), waitFor).toMatchObject({ success: true })
    // Also when it is so deep that nobody remembers it, and only the chain can tell.
    await control.mine({ blocks: 20 })
    await expect
      .poll(() => settle(payment), waitFor)
      .toMatchObject({ success: true, transaction: first.transaction })
    expect(await nonceOf(sender.address)).toBe(1)
  })

  test('a transaction that is too cheap is replaced at the same nonce, within the cap', async () => {
    await facilitator.close()
    const feeCap = parseGwei('20')
    facilitator = await startLocalFacilitator(chain, {
      replaceAfterMs: 1_000,
      networks: [{ id: NETWORK, feeCap }],
    })
    const answer = onePayment().then(settle)
    await expect.poll(pending, waitFor).toHaveLength(1)
    const [first] = await pending()
    await control.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei('6') })
    await control.mine({ blocks: 1 })
    await expect
      .poll(async () => (await pending()).filter(hash => hash !== first).length, waitFor)
      .toBe(1)
    const [second] = await pending()
    await expect
      .poll(async () => {
        await control.mine({ blocks: 1 })
        return nonceOf(sender.address)
      }, waitFor)
      .toBe(1)
    const { success, transaction } = await answer
    expect(success).toBe(true)
    expect(transaction).not.toBe(first)
    const mined = await chain.publicClient.getTransaction({ hash: transaction as Hex }) // settled
    expect(mined.nonce).toBe(0)
    expect(mined.maxFeePerGas).toBeLessThanOrEqual(feeCap)
    expect(second).toBeDefined()
  })

  test('a cancelled authorization reverts, is told by its hash and is not sent again', async () => {
    const payer = privateKeyToAccount(generatePrivateKey())
    await chain.mint(payer.address, PRICE)
    const payment = await paymentOf(payer, offer)
    const answer = settle(payment)
    await expect.poll(pending, waitFor).toHaveLength(1)
    await cancel(payer, payment)
    await control.mine({ blocks: 1 })
    expect(await answer).toMatchObject({
      success: false,
      errorReason: 'invalid_exact_evm_transaction_failed',
      transaction: expect.stringMatching(/^0x/),
    })
    expect(await settle(payment)).toEqual(await answer)
    expect(await nonceOf(sender.address)).toBe(1)
  })

  test('what a killed process has sent is found by the next one, and sent again as it was', async () => {
    const payment = await onePayment()
    const { journal } = facilitator
    await facilitator.close()
    const child = spawnTied(process.execPath, [
      fileURLToPath(new URL('settle-in-child.ts', import.meta.url)),
      JSON.stringify(childInput(journal, payment)),
    ])
    child.child.stdout?.resume()
    await expect.poll(pending, waitFor).toHaveLength(1)
    await child.stop()
    const [hash] = await pending()
    await control.request({ method: 'anvil_dropAllTransactions' } as never) // viem has no name for it

    facilitator = await startLocalFacilitator(chain, { journal })
    const answer = settle(payment)
    await expect.poll(pending, waitFor).toEqual([hash])
    await control.mine({ blocks: 1 })
    expect(await answer).toMatchObject({ success: true, transaction: hash })
    expect(await nonceOf(sender.address)).toBe(1)
  })

  test('a nonce that nothing stands for is filled, so that those behind it land', async () => {
    const { journal } = facilitator
    await facilitator.close()
    const outbox = openOutbox(journal)
    const fees = { maxFeePerGas: parseGwei('5'), maxPriorityFeePerGas: parseGwei('1') }
    const raw = await sender.signTransaction({
      ...{ ...fees, type: 'eip1559', chainId: chain.chainId, nonce: 2, gas: 21_000n },
      to: seller.address,
    })
    outbox.put({
      ...{ network: NETWORK, address: sender.address.toLowerCase(), nonce: 2, purpose: 'other' },
      ...{ to: seller.address, data: '0x', gas: 21_000n },
      attempts: [{ hash: keccak256(raw), raw, ...fees }],
    })
    outbox.close()
    facilitator = await startLocalFacilitator(chain, { journal })
    const answer = onePayment().then(settle)
    await expect
      .poll(async () => {
        await control.mine({ blocks: 1 })
        return nonceOf(sender.address)
      }, waitFor)
      .toBe(4)
    expect(await answer).toMatchObject({ success: true })
  })

  function childInput(journal: string, payload: PaymentPayload) {
    const config = {
      ...{ kind: 'local', name: 'local', gasMax: '400000', deployers: [], journal },
      networks: [{ id: NETWORK, feeCap: '50000000000' }],
      keys: [{ kind: 'private-key', privateKey: FACILITATOR_PRIVATE_KEY }],
      ...{ replaceAfterMs: 30_000, settleTimeoutMs: 15_000 },
    }
    const network = {
      id: NETWORK,
      name: 'base-sepolia',
      rpc: [chain.rpcUrl],
      finality: 4,
      assets: [],
    }
    return { config, network, payload, requirements }
  }
})

test('settlements survive a node that ends and comes back without its mempool', async () => {
  await open(1, {}, true)
  const asked = await payments(40)
  // What finds no node is not sent, and the payment comes again.
  const untilSent = async (payload: PaymentPayload): ReturnType<typeof settle> => {
    for (;;) {
      const answer = await settle(payload).catch((error: unknown) => error)
      if (!(answer instanceof FacilitatorUnavailableError)) return answer as SettleAnswer // or fails below
    }
  }
  const answers = Promise.all(asked.map(untilSent))
  await expect.poll(async () => (await pending()).length, waitFor).toBeGreaterThan(5)
  await chain.restart()
  await expectAllSettled(answers, 40)
}, 60_000)

test('settlements whose blocks are taken back land again, and none twice', async () => {
  await open(null, { finality: 20 })
  const asked = await payments(15)
  await expectAllSettled(Promise.all(asked.map(settle)), 15)
  await control.mine({ blocks: 2 })
  await control.request({ method: 'anvil_reorg', params: [8, []] } as never) // viem has no name for it
  expect(await nonceOf(sender.address)).toBeLessThan(15)
  await expect.poll(() => nonceOf(sender.address), waitFor).toBe(15)
  await expect.poll(() => chain.balanceOf(seller.address), waitFor).toBe(15n * PRICE)
  await expectAllSettled(Promise.all(asked.map(settle)), 15)
})

test('a key that somebody else uses as well goes on behind them', async () => {
  await open(null)
  expect(await settle(await onePayment())).toMatchObject({ success: true })
  await control.sendTransaction({ to: seller.address, value: 1n })
  await control.sendTransaction({ to: seller.address, value: 1n })
  const answers = await Promise.all((await payments(3)).map(settle))
  expect(await nonceOf(sender.address)).toBe(6)
  expect(answers.every(({ success }) => success)).toBe(true)
})

test('a payment that somebody else has submitted is settled by their transaction', async () => {
  await open(null)
  const payment = await onePayment()
  const other = await startLocalFacilitator(chain)
  const { transaction } = await other.settle(payment, requirements)
  await other.close()
  const before = await nonceOf(sender.address)
  expect(await settle(payment)).toMatchObject({ success: true, transaction })
  expect(await nonceOf(sender.address)).toBe(before)
})

/** The payer's own transaction, which miners like better than ours. */
async function cancel(
  payer: ReturnType<typeof privateKeyToAccount>,
  { payload }: PaymentPayload,
): Promise<void> {
  await control.setBalance({ address: payer.address, value: 10n ** 18n })
  const wallet = createWalletClient({
    ...{ account: payer, chain: viemChain(chain.rpcUrl, chain.chainId) },
    transport: http(chain.rpcUrl),
  })
  const { nonce } = Object(payload['authorization'])
  const domain = {
    name: 'USDC',
    version: '2',
    chainId: chain.chainId,
    verifyingContract: chain.token,
  }
  const types = {
    CancelAuthorization: [
      { name: 'authorizer', type: 'address' },
      { name: 'nonce', type: 'bytes32' },
    ],
  } as const
  const message = { authorizer: payer.address, nonce }
  const primaryType = 'CancelAuthorization'
  const signature = await payer.signTypedData({ domain, types, primaryType, message })
  await wallet.writeContract({
    ...{ address: chain.token, abi: testDollarAbi, functionName: 'cancelAuthorization' },
    args: [payer.address, nonce, signature],
    ...{ maxFeePerGas: parseGwei('200'), maxPriorityFeePerGas: parseGwei('100'), gas: 200_000n },
  })
}
