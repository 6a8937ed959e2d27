import { encodeFunctionData, parseAbi } from 'viem'
import { type Clock, unixMs } from '../core/time.ts'
import {
  type ChainBlock,
  type ChainReader,
  type ChainView,
  LOOK_MS_PER_NODE_MAX,
  type LookHints,
  type SignedTransferOnChain,
} from './chain-reader.ts'
import { type Ask, blockTag, ImplausibleAnswer, proveChain } from './evm-rpc.ts'
import { type EvmNode, findUse } from './evm-search.ts'
import {
  blockAnswer,
  logsAnswer,
  receiptAnswer,
  transactionAnswer,
  transactionHash,
  wordAnswer,
} from './evm-wire.ts'
import { hearNodes } from './hear-nodes.ts'
import { PERMIT2, placeOfNonce } from './permit2-proof.ts'
import type { Network } from './registry.ts'
import { createRpcPool, type RpcPool } from './rpc-pool.ts'

export interface EvmChainOptions {
  /** How long one question may take. Default 3,000. */
  readonly callMs?: number
  /** After how long a look asks a node nothing more. Default: so that it ends in time. */
  readonly lookMs?: number
  /** Tells which nodes lag behind. Default: the machine's. */
  readonly clock?: Clock
  /** Shared with others that ask the same network; default: one of its own. */
  readonly pool?: RpcPool
}

/** EIP-3009 `authorizationState`; Permit2 `ISignatureTransfer.nonceBitmap`. */
const NONCE_ABI = parseAbi([
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function nonceBitmap(address owner, uint256 word) view returns (uint256)',
])

/**
 * Reads an EVM chain over JSON-RPC. What one node says in one look fits together; the next node
 * is asked when it fails, and when what it says is not enough to believe it alone.
 *
 * @param network Its `rpc` must not be empty. The URLs are never logged, nor is what a node says.
 */
export function createEvmChain(network: Network, options: EvmChainOptions = {}): ChainReader {
  const { callMs = 3_000, lookMs = LOOK_MS_PER_NODE_MAX - callMs } = options
  const { clock = () => unixMs(Date.now()) } = options
  const pool = options.pool ?? createRpcPool(network, { callMs })
  const hearing = { name: network.name, pool, lookMs, clock }
  return {
    look: (transfer, hints) =>
      hearNodes(hearing, transfer, ask =>
        lookAt(nodeOver(ask), transfer, { ...hints, network, ask }),
      ),
  }
}

async function lookAt(
  node: EvmNode,
  transfer: SignedTransferOnChain,
  hints: LookHints & { readonly network: Network; readonly ask: Ask },
): Promise<ChainView> {
  const { network, ask } = hints
  const [latest] = await Promise.all([node.block('latest'), proveChain(network, ask)])
  const [final, used] = await Promise.all([
    finalBlock(node, network, latest),
    isUsed(node, transfer, latest.number),
  ])
  // What was not used at `latest` could have been used between the two.
  if (final.number > latest.number) throw new ImplausibleAnswer('its blocks do not fit together')
  if (!used) return { latest, final, use: null }
  const named = transactionHash.safeParse(hints.transaction).data ?? null
  const use = await findUse(node, transfer, { ...hints, transaction: named, latest })
  return { latest, final, use }
}

function finalBlock(node: EvmNode, network: Network, latest: ChainBlock): Promise<ChainBlock> {
  if (network.finality === null) return node.block('finalized')
  const depth = BigInt(network.finality)
  return node.block(latest.number > depth ? latest.number - depth : 0n)
}

async function isUsed(
  node: EvmNode,
  transfer: SignedTransferOnChain,
  at: bigint,
): Promise<boolean> {
  const payer = transfer.payer as `0x${string}` // checked when the payment came
  if (transfer.method === 'eip3009') {
    const args = [payer, transfer.nonce as `0x${string}`] as const // checked as well
    const data = encodeFunctionData({ abi: NONCE_ABI, functionName: 'authorizationState', args })
    const state = await node.word({ to: transfer.token, data }, at)
    if (state > 1n) throw new ImplausibleAnswer('authorizationState is not a truth value')
    return state === 1n
  }
  const { word, bit } = placeOfNonce(transfer.nonce)
  const args = [payer, word] as const
  const data = encodeFunctionData({ abi: NONCE_ABI, functionName: 'nonceBitmap', args })
  return ((await node.word({ to: PERMIT2, data }, at)) & bit) !== 0n
}

function nodeOver(ask: Ask): EvmNode {
  return {
    async block(at) {
      const block = await ask('eth_getBlockByNumber', [blockTag(at), false], blockAnswer)
      if (typeof at !== 'bigint' || block.number === at) return block
      throw new ImplausibleAnswer('it answered with another block')
    },
    receipt: hash => ask('eth_getTransactionReceipt', [hash], receiptAnswer),
    transaction: hash => ask('eth_getTransactionByHash', [hash], transactionAnswer),
    logs: (filter, from, to) => {
      const range = { fromBlock: blockTag(from), toBlock: blockTag(to) }
      return ask('eth_getLogs', [{ ...filter, ...range }], logsAnswer)
    },
    word: (call, at) => ask('eth_call', [call, blockTag(at)], wordAnswer),
  }
}
