import { encodeFunctionData, type Hex, parseAbi } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { SignedTransferOnChain } from '../../src/networks/chain-reader.ts'
import { createEvmChain } from '../../src/networks/evm-chain.ts'
import { TRANSFER } from '../../src/networks/receipt-proof.ts'
import { loadNetworkRegistry } from '../../src/networks/registry.ts'
import { type RpcProxy, startRpcProxy } from '../support/rpc-proxy.ts'

const HASH = `0x${'5e'.repeat(32)}` as const
const PAYER: Hex = `0x${'b1'.repeat(20)}`
const SELLER: Hex = `0x${'c1'.repeat(20)}`
const TOKEN: Hex = `0x${'a1'.repeat(20)}`
const NOW_SECONDS = 1_800_000_000

const network = loadNetworkRegistry().find('mezo')
if (network === null) throw new Error('mezo is not in the registry')
const transfer: SignedTransferOnChain = {
  method: 'permit2',
  ...{ token: TOKEN, payer: PAYER, payTo: SELLER, amount: 1_000n, nonce: '515' },
  validBefore: NOW_SECONDS + 60,
}
const PROXY_ABI = parseAbi([
  'function settle(((address token, uint256 amount) permitted, uint256 nonce, uint256 deadline) permit, address owner, (address to, uint256 validAfter) witness, bytes signature)',
])

let node: RpcProxy
afterEach(() => node.close())

/** A node that stands alone, where Permit2 has used the nonces of `bitmap`. */
function startNode(bitmap: bigint, isFound: boolean): Promise<RpcProxy> {
  const moved = {
    ...{ address: TOKEN, topics: [TRANSFER, word(PAYER), word(SELLER)], data: word(1_000n) },
    ...{ transactionHash: HASH, blockNumber: '0x63', logIndex: '0x0' },
  }
  const permitted = { token: TOKEN, amount: 1_000n }
  const permit = { permitted, nonce: 515n, deadline: 2_000_000_000n }
  const args = [permit, PAYER, { to: SELLER, validAfter: 0n }, '0x'] as const
  const answers: Record<string, unknown> = {
    eth_chainId: '0x7b7c',
    eth_call: word(bitmap),
    eth_getLogs: isFound ? [moved] : [],
    eth_getTransactionReceipt: {
      ...{ transactionHash: HASH, blockNumber: '0x63', status: '0x1', logs: [moved] },
    },
    eth_getTransactionByHash: {
      to: '0x402085c248EeA27D92E8b30b2C58ed07f9E20001',
      input: encodeFunctionData({ abi: PROXY_ABI, functionName: 'settle', args }),
    },
  }
  return startRpcProxy('http://127.0.0.1:9', ({ method, params }) => {
    const isBlock = method === 'eth_getBlockByNumber'
    return { kind: 'result', result: isBlock ? block(params[0]) : (answers[method] ?? null) }
  })
}

/** A block every second, a hundred of them. */
function block(at: unknown): unknown {
  const number = typeof at === 'string' && at.startsWith('0x') ? Number(at) : 100
  const timestamp = NOW_SECONDS - (100 - number)
  return { number: `0x${number.toString(16)}`, timestamp: `0x${timestamp.toString(16)}` }
}

function look(transaction: string | null) {
  if (network === null) throw new Error('checked above')
  const hints = { transaction, createdAt: unixMs(NOW_SECONDS * 1000) }
  return createEvmChain({ ...network, rpc: [node.url] }).look(transfer, hints)
}

function word(value: bigint | Hex): string {
  return `0x${BigInt(value).toString(16).padStart(64, '0')}`
}

const LANDED = { kind: 'transfer', transaction: HASH, block: 0x63n }

describe('a Permit2 payment', () => {
  test.each<[string, bigint, boolean, string | null, unknown]>([
    ['is not used while its bit is not set', 7n, true, HASH, null],
    ['is proven by the call that was named', 8n, false, HASH, LANDED],
    ['is proven by a call that is found', 8n, true, null, LANDED],
    ['is not proven when nothing is found', 8n, false, null, { kind: 'unproven' }],
  ])('%s', async (_name, bitmap, isFound, transaction, expected) => {
    node = await startNode(bitmap, isFound)
    expect((await look(transaction)).use).toEqual(expected)
  })
})
