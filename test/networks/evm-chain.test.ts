import { randomBytes } from 'node:crypto'
import {
  type Address,
  bytesToHex,
  createTestClient,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  http,
  parseAbi,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { SignedTransferOnChain } from '../../src/networks/chain-reader.ts'
import { createEvmChain, type EvmChainOptions } from '../../src/networks/evm-chain.ts'
import { loadNetworkRegistry, type Network } from '../../src/networks/registry.ts'
import { buyer, FACILITATOR_PRIVATE_KEY, seller } from '../support/accounts.ts'
import {
  type Authorization,
  authorization,
  signTransfer,
  tokenDomain,
  tokenTypes,
  transferArguments,
} from '../support/authorizations.ts'
import { type Chain, startChain, viemChain } from '../support/chain.ts'
import { startRpcProxy } from '../support/rpc-proxy.ts'
import { testDollarAbi } from '../support/token/abi.ts'

const sender = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)
const BATCH: Address = '0xcA11bde05977b3631167028862bE2a173976CA11'
const BATCH_ABI = parseAbi([
  'function tryAggregate(bool requireSuccess, (address target, bytes callData)[] calls)',
])
const NOBODY = `0x${'0'.repeat(40)}` as const

let chain: Chain
let network: Network
let wallet: ReturnType<typeof walletOf>
let control: ReturnType<typeof controlOf>

const walletOf = ({ rpcUrl, chainId }: Chain) =>
  createWalletClient({
    account: sender,
    chain: viemChain(rpcUrl, chainId),
    transport: http(rpcUrl),
  })
const controlOf = ({ rpcUrl }: Chain) =>
  createTestClient({ mode: 'anvil', transport: http(rpcUrl) })

beforeAll(async () => {
  chain = await startChain()
  wallet = walletOf(chain)
  control = controlOf(chain)
  const found = loadNetworkRegistry().find('base-sepolia')
  if (found === null) throw new Error('base-sepolia is not in the registry')
  network = { ...found, rpc: [chain.rpcUrl], finality: 2 }
  await chain.mint(buyer.address, 1_000_000_000n)
})
afterAll(() => chain.close())

let message: Authorization
beforeEach(() => {
  message = authorization({ from: buyer.address, to: seller.address, value: 1_000n })
})

function transferOf(signed: Authorization = message): SignedTransferOnChain {
  return {
    method: 'eip3009',
    token: chain.token.toLowerCase(),
    payer: signed.from,
    payTo: signed.to,
    amount: signed.value,
    nonce: signed.nonce,
    validBefore: Number(signed.validBefore),
  }
}

interface Look {
  readonly transaction?: string | null
  readonly transfer?: SignedTransferOnChain
  readonly rpc?: readonly string[]
  readonly finality?: number | null
  readonly options?: EvmChainOptions
}

function look({ transaction = null, transfer = transferOf(), rpc, finality, options }: Look = {}) {
  const at = {
    ...network,
    rpc: rpc ?? network.rpc,
    finality: finality === undefined ? network.finality : finality,
  }
  const createdAt = unixMs(Date.now())
  return createEvmChain(at, options).look(transfer, { transaction, createdAt })
}

/** Gas is given, so that what reverts is sent and mined all the same. */
async function send(to: Address, data: Hex): Promise<Hex> {
  const hash = await wallet.sendTransaction({ to, data, gas: 1_000_000n })
  await chain.publicClient.waitForTransactionReceipt({ hash })
  return hash
}

async function transferCall(signed: Authorization): Promise<Hex> {
  const signature = await signTransfer(chain, buyer, signed)
  return encodeFunctionData({
    abi: testDollarAbi,
    functionName: 'transferWithAuthorization',
    args: [...transferArguments(signed), signature],
  })
}

const land = async (signed: Authorization = message): Promise<Hex> =>
  send(chain.token, await transferCall(signed))

async function cancel(): Promise<Hex> {
  const signature = await buyer.signTypedData({
    domain: tokenDomain(chain),
    types: tokenTypes,
    primaryType: 'CancelAuthorization',
    message: { authorizer: buyer.address, nonce: message.nonce },
  })
  const args = [buyer.address, message.nonce, signature] as const
  return send(
    chain.token,
    encodeFunctionData({ abi: testDollarAbi, functionName: 'cancelAuthorization', args }),
  )
}

describe('a transfer that landed', () => {
  test('is proven by the transaction that was named', async () => {
    const transaction = await land()
    const { use, latest } = await look({ transaction })
    expect(use).toEqual({ kind: 'transfer', transaction, block: latest.number })
  })

  test('is found without a name, and whatever else was named', async () => {
    const stranger = await land({ ...message, nonce: bytesToHex(randomBytes(32)) })
    const transaction = await land()
    const reverted = await land()
    const unknown = `0x${'ab'.repeat(32)}`
    const names = [null, stranger, reverted, unknown, '0xabc', '', 'http://key@example.com']
    for (const named of names) {
      expect((await look({ transaction: named })).use).toMatchObject({
        kind: 'transfer',
        transaction,
      })
    }
  })

  test('is found hundreds of blocks later, at a node that answers only narrow questions', async () => {
    const before = await control.snapshot()
    const transaction = await land()
    await control.mine({ blocks: 400, interval: 2 })
    const width = ({ params: [filter] }: { params: readonly unknown[] }): number => {
      const { fromBlock, toBlock } = filter as { fromBlock: string; toBlock: string } // eth_getLogs
      return Number(toBlock) - Number(fromBlock) + 1
    }
    const node = await startRpcProxy(chain.rpcUrl, call =>
      call.method === 'eth_getLogs' && width(call) > 20
        ? { kind: 'error', code: -32005, message: 'query exceeds max block range 20' }
        : null,
    )
    const { use } = await look({ rpc: [node.url] })
    expect(use).toMatchObject({ kind: 'transfer', transaction })
    expect(node.calls.length).toBeLessThan(100)
    await node.close()
    await control.revert({ id: before })
  })

  test('does not count while its receipt says that it failed', async () => {
    const transaction = await land()
    const receipt = await chain.publicClient.request({
      method: 'eth_getTransactionReceipt',
      params: [transaction],
    })
    const node = await startRpcProxy(chain.rpcUrl, ({ method }) =>
      result(method === 'eth_getTransactionReceipt', { ...receipt, status: '0x0' }),
    )
    expect((await look({ rpc: [node.url], transaction })).use).toEqual({ kind: 'unproven' })
    await node.close()
  })

  test('counts only with exactly the amount, to the receiver, by the payer', async () => {
    const transaction = await land()
    const right = transferOf()
    for (const wrong of [{ amount: 999n }, { amount: 1_001n }, { payTo: NOBODY }]) {
      const { use } = await look({ transaction, transfer: { ...right, ...wrong } })
      expect(use).toMatchObject({ kind: 'voided', how: 'other-use' })
    }
    // The nonce of another payer is another nonce.
    expect((await look({ transaction, transfer: { ...right, payer: NOBODY } })).use).toBeNull()
  })

  test('does not count for a second authorization that the payer spent on himself beside it', async () => {
    const paid = { ...message, nonce: bytesToHex(randomBytes(32)) }
    const toHimself = { ...message, to: buyer.address, value: 0n }
    const calls = await Promise.all(
      [toHimself, paid].map(async signed => ({
        target: chain.token,
        callData: await transferCall(signed),
      })),
    )
    const args = [true, calls] as const
    const data = encodeFunctionData({ abi: BATCH_ABI, functionName: 'tryAggregate', args })
    const transaction = await send(BATCH, data)
    const [one, other] = await Promise.all([
      look({ transaction }),
      look({ transaction, transfer: transferOf(paid) }),
    ])
    expect(one.use).toEqual({ kind: 'unproven' })
    expect(other.use).toMatchObject({ kind: 'transfer', transaction })
  })
})

describe('a nonce that is gone without our transfer', () => {
  test('says that it was cancelled, and in which block', async () => {
    const hash = await cancel()
    const { blockNumber: block } = await chain.publicClient.getTransactionReceipt({ hash })
    for (const transaction of [null, hash]) {
      expect((await look({ transaction })).use).toEqual({ kind: 'voided', how: 'cancelled', block })
    }
  })

  test('says that it was used for something else', async () => {
    await land({ ...message, value: 1n })
    expect((await look()).use).toMatchObject({ kind: 'voided', how: 'other-use' })
  })

  test('proves nothing while the node has no event of it', async () => {
    await land()
    const node = await startRpcProxy(chain.rpcUrl, ({ method }) =>
      method === 'eth_getLogs' ? { kind: 'result', result: [] } : null,
    )
    expect((await look({ rpc: [node.url] })).use).toEqual({ kind: 'unproven' })
    await node.close()
  })
})

describe('a transfer that has not landed', () => {
  test('is not used, and the final block lies as deep as the configuration says', async () => {
    await control.mine({ blocks: 3 })
    const { use, latest, final } = await look()
    expect(use).toBeNull()
    expect(latest.number - final.number).toBe(2n)
    expect(final.timestamp).toBeLessThanOrEqual(latest.timestamp)
  })

  test('without a depth, the final block is the one that the node calls final', async () => {
    const { number } = await chain.publicClient.getBlock({ blockTag: 'finalized' })
    expect((await look({ finality: null })).final.number).toBe(number)
  })

  test('deeper than the chain is high means its first block', async () => {
    expect((await look({ finality: 1_000_000 })).final.number).toBe(0n)
  })

  test('that reverted is not used', async () => {
    const transaction = await land({ ...message, value: 10n ** 18n })
    const { use } = await look({
      transaction,
      transfer: transferOf({ ...message, value: 10n ** 18n }),
    })
    expect(use).toBeNull()
  })
})

describe('a node that cannot be trusted', () => {
  const KEY = 'sk-very-secret'

  test.each<[string, Parameters<typeof startRpcProxy>[1]]>([
    ['of another chain', ({ method }) => result(method === 'eth_chainId', '0x1')],
    ['that hangs', () => ({ kind: 'hang' })],
    ['that resets', () => ({ kind: 'reset' })],
    ['that is rate limited', () => ({ kind: 'http', status: 429, body: `slow down ${KEY}` })],
    ['that fails', () => ({ kind: 'error', code: -32000, message: `bad key ${KEY}` })],
    ['that answers no JSON', () => ({ kind: 'http', status: 200, body: '<html>' })],
    ['that redirects', () => ({ kind: 'http', status: 307, headers: { location: '/other' } })],
    ['without blocks', ({ method }) => result(method === 'eth_getBlockByNumber', null)],
    [
      'that has another block than the one it is asked for',
      ({ method, params }) =>
        result(method === 'eth_getBlockByNumber' && params[0] !== 'latest', {
          ...{ number: '0x0', timestamp: '0x1' },
        }),
    ],
    ['whose state is empty', ({ method }) => result(method === 'eth_call', '0x')],
    ['whose state is no truth value', ({ method }) => result(method === 'eth_call', word(2n))],
    [
      'whose final block is ahead of its newest',
      ({ method, params }) =>
        result(method === 'eth_getBlockByNumber' && params[0] !== 'latest', {
          number: '0xffffff',
          timestamp: '0x1',
        }),
    ],
  ])('%s decides nothing, and neither it nor its URL is repeated', async (_name, answer) => {
    const node = await startRpcProxy(chain.rpcUrl, answer)
    const options = { callMs: 300 }
    const url = `${node.url}/v2/${KEY}`
    const failure = await look({ rpc: [url], options }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'chain_unavailable' })
    const told = [String(failure), JSON.stringify(failure), String((failure as Error).stack)]
    expect(told.join()).not.toContain(KEY)
    expect(told.join()).not.toContain(node.url)
    expect((failure as Error).cause).toBeUndefined()

    // The next node is asked, and from then on it is asked first.
    const reader = createEvmChain({ ...network, rpc: [url, chain.rpcUrl] }, options)
    const hints = { transaction: null, createdAt: unixMs(Date.now()) }
    expect((await reader.look(transferOf(), hints)).use).toBeNull()
    const asked = node.calls.length
    expect((await reader.look(transferOf(), hints)).use).toBeNull()
    expect(node.calls).toHaveLength(asked)
    await node.close()
  })

  test('one that answers slowly for ever is given up in time', async () => {
    await land()
    const node = await startRpcProxy(chain.rpcUrl, ({ method }) =>
      method === 'eth_getLogs' ? { kind: 'error', code: -32005, message: 'narrower' } : null,
    )
    const failure = look({ rpc: [node.url], options: { lookMs: 0 } })
    await expect(failure).rejects.toMatchObject({ code: 'chain_unavailable' })
    await expect(look({ rpc: [node.url] })).rejects.toThrow()
    expect(node.calls.length).toBeLessThan(120)
    await node.close()
  })
})

describe('several nodes', () => {
  const unused = ({ method }: { method: string }) => result(method === 'eth_call', word(0n))
  const forgetful = ({ method }: { method: string }) => result(method === 'eth_getLogs', [])
  const inAnHour = () => unixMs(Date.now() + 3_600_000)

  test.each<[string, Parameters<typeof startRpcProxy>[1], Partial<SignedTransferOnChain>, Look]>([
    ['has forgotten the events', forgetful, {}, {}],
    ['stopped following the chain', unused, {}, { options: { clock: inAnHour } }],
    ['takes it for expired and unused', unused, { validBefore: 1 }, {}],
  ])('a transfer is found though the first one %s', async (_name, answer, parts, extra) => {
    const transaction = await land()
    await control.mine({ blocks: 3 })
    const [wrong, behind] = [await startRpcProxy(chain.rpcUrl, answer), chain.rpcUrl]
    const transfer = { ...transferOf(), ...parts }
    const alone = await look({ ...extra, transfer, rpc: [wrong.url] })
    expect(alone.use).not.toMatchObject({ kind: 'transfer' })
    const { use } = await look({ ...extra, transfer, rpc: [wrong.url, behind] })
    expect(use).toMatchObject({ kind: 'transfer', transaction })
    await wrong.close()
  })

  test('one that is down does not keep a cancelled payment open', async () => {
    await cancel()
    const down = await startRpcProxy(chain.rpcUrl, () => ({ kind: 'reset' }))
    for (const rpc of [
      [down.url, chain.rpcUrl],
      [chain.rpcUrl, down.url],
    ]) {
      expect((await look({ rpc })).use).toMatchObject({ kind: 'voided', how: 'cancelled' })
    }
    await down.close()
  })

  test('only the first one is asked of a payment that may still land', async () => {
    const other = await startRpcProxy(chain.rpcUrl)
    const { timestamp } = await chain.publicClient.getBlock()
    const { use, latest } = await look({
      rpc: [chain.rpcUrl, other.url],
      options: { clock: () => unixMs(Number(timestamp) * 1000) },
    })
    expect({ use, calls: other.calls }).toEqual({ use: null, calls: [] })
    expect(latest.timestamp).toBeLessThan(Number(message.validBefore))
    await other.close()
  })
})

function result(applies: boolean, value: unknown) {
  return applies ? ({ kind: 'result', result: value } as const) : null
}

function word(value: bigint): string {
  return `0x${value.toString(16).padStart(64, '0')}`
}
