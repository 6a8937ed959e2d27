import { createClient, encodeFunctionData, http, parseAbi } from 'viem'
import type { z } from 'zod'
import {
  type ChainBlock,
  type ChainReader,
  ChainUnavailableError,
  type ChainView,
  LOOK_MS_PER_NODE_MAX,
  type LookHints,
  type SignedTransferOnChain,
} from './chain-reader.ts'
import { type EvmNode, findUse } from './evm-search.ts'
import {
  blockAnswer,
  chainIdAnswer,
  logsAnswer,
  receiptAnswer,
  transactionAnswer,
  transactionHash,
  wordAnswer,
} from './evm-wire.ts'
import { PERMIT2, placeOfNonce } from './permit2-proof.ts'
import type { Network } from './registry.ts'

const ANSWER_BYTES_MAX = 8 * 1024 * 1024
/** Of one look at one node. */
const CALLS_MAX = 120

export interface EvmChainOptions {
  /** How long one question may take. Default 3,000. */
  readonly callMs?: number
  /** After how long a look asks a node nothing more. Default: so that it ends in time. */
  readonly lookMs?: number
}

/** EIP-3009 `authorizationState`; Permit2 `ISignatureTransfer.nonceBitmap`. */
const NONCE_ABI = parseAbi([
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function nonceBitmap(address owner, uint256 word) view returns (uint256)',
])

type Ask = <T>(method: string, params: readonly unknown[], answer: z.ZodType<T>) => Promise<T>

/**
 * Reads an EVM chain over JSON-RPC. Each look is answered by one node alone, so that what it says
 * fits together; the next node is asked when it fails.
 *
 * @param network Its `rpc` must not be empty. The URLs are never logged, nor is what a node says.
 */
export function createEvmChain(network: Network, options: EvmChainOptions = {}): ChainReader {
  const { callMs = 3_000, lookMs = LOOK_MS_PER_NODE_MAX - callMs } = options
  const clients = network.rpc.map(url =>
    createClient({
      transport: http(url, {
        retryCount: 0,
        timeout: callMs,
        maxResponseBodySize: ANSWER_BYTES_MAX,
        // Nobody else is told which payments are ours.
        fetchOptions: { redirect: 'error' },
      }),
    }),
  )
  // One that failed is not asked first again: its silence would cost every look its time-out.
  let first = 0
  return {
    async look(transfer, hints) {
      const failures: string[] = []
      for (const client of [...clients.slice(first), ...clients.slice(0, first)]) {
        // The methods and answers are ours to check; the client's types would do neither.
        const request = client.request as (call: object) => Promise<unknown> // see above
        const ask = createAsk(request, lookMs)
        try {
          return await lookAt(nodeOver(ask), transfer, { ...hints, network, ask })
        } catch (error) {
          failures.push(describeFailure(error))
          first = (clients.indexOf(client) + 1) % clients.length
        }
      }
      throw new ChainUnavailableError(network.name, failures.join('; '))
    },
  }
}

/** The node says something that cannot be. */
class ImplausibleAnswer extends Error {}

function createAsk(request: (call: object) => Promise<unknown>, lookMs: number): Ask {
  const endsAt = performance.now() + lookMs
  let callsLeft = CALLS_MAX
  return async (method, params, answer) => {
    if (callsLeft-- <= 0) throw new ImplausibleAnswer('more questions than one look may ask')
    if (performance.now() > endsAt) throw new ImplausibleAnswer(`no result in ${lookMs} ms`)
    const parsed = answer.safeParse(await request({ method, params }))
    if (parsed.success) return parsed.data
    throw new ImplausibleAnswer(`${method} was answered in another shape`)
  }
}

async function lookAt(
  node: EvmNode,
  transfer: SignedTransferOnChain,
  hints: LookHints & { readonly network: Network; readonly ask: Ask },
): Promise<ChainView> {
  const { network, ask } = hints
  const [chainId, latest] = await Promise.all([
    ask('eth_chainId', [], chainIdAnswer),
    node.block('latest'),
  ])
  if (network.id !== `eip155:${chainId}`) throw new ImplausibleAnswer('it serves another chain')
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

function blockTag(at: bigint | 'latest' | 'finalized'): string {
  return typeof at === 'bigint' ? `0x${at.toString(16)}` : at
}

/** Only what we know to be ours: the library puts URLs, and nodes their own words, into errors. */
function describeFailure(error: unknown): string {
  if (error instanceof ImplausibleAnswer) return error.message
  if (!(error instanceof Error)) return 'an unknown failure'
  const { status, code } = error as { status?: unknown; code?: unknown } // of viem's errors, maybe
  const number = typeof status === 'number' ? status : typeof code === 'number' ? code : null
  const name = /^[A-Za-z]{1,60}$/.test(error.name) ? error.name : 'Error'
  return number === null ? name : `${name} ${number}`
}
