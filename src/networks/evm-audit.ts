import { ChainUnavailableError } from './chain-reader.ts'
import { type Ask, blockTag, connectNode, describeFailure, proveChain } from './evm-rpc.ts'
import {
  blockAnswer,
  type FoundLog,
  logsAnswer,
  receiptAnswer,
  type TransactionReceipt,
  transactionAnswer,
} from './evm-wire.ts'
import { TRANSFER, topicOf } from './receipt-proof.ts'
import type { Network } from './registry.ts'

/** Reads from one EVM chain what a comparison with the ledger needs beyond a `ChainReader`. */
export interface EvmAudit {
  latestBlock(): Promise<bigint>

  /** Null when every node that answers says that it is not mined. */
  receipt(hash: string): Promise<TransactionReceipt | null>

  /** What a transaction called; null when every node that answers does not know it. */
  call(hash: string): Promise<{ readonly to: string | null; readonly input: string } | null>

  /** Transfers of a token to any of `payTo`, oldest first. Both blocks are included. */
  transfersTo(asked: TransfersAsked): AsyncGenerator<FoundLog>
}

export interface TransfersAsked {
  readonly token: string
  /** Never empty. */
  readonly payTo: readonly string[]
  readonly from: bigint
  readonly to: bigint
}

const LIMITS = { callMs: 10_000, retries: 2 }
/** Blocks that one question spans at first; a node that refuses gets smaller ones. */
const SPAN_FIRST = 2_000n
const SPAN_LEAST = 10n

/**
 * Every method rejects with `ChainUnavailableError` when no node answers or none can be trusted.
 *
 * @param network Its `rpc` must not be empty. The URLs are never told, nor is what a node says.
 */
export function createEvmAudit(network: Network): EvmAudit {
  const nodes = network.rpc.map(url => connect(network, url))

  const firstAnswer = async <T>(ask: (node: Ask) => Promise<T>): Promise<T> => {
    const failures: string[] = []
    for (const node of nodes) {
      try {
        return await ask(await node())
      } catch (error) {
        failures.push(describeFailure(error))
      }
    }
    throw new ChainUnavailableError(network.name, failures.join('; '))
  }

  /** A node that lags behind, or forgets early, must not make a payment look lost. */
  const anyFound = async <T>(ask: (node: Ask) => Promise<T | null>): Promise<T | null> => {
    const answers = await Promise.allSettled(nodes.map(async node => ask(await node())))
    const found = answers.find(one => one.status === 'fulfilled' && one.value !== null)
    if (found?.status === 'fulfilled') return found.value
    if (answers.some(one => one.status === 'fulfilled')) return null
    const failures = answers.map(one => (one.status === 'rejected' ? one.reason : null))
    throw new ChainUnavailableError(network.name, failures.map(describeFailure).join('; '))
  }

  return {
    async latestBlock() {
      const block = await firstAnswer(ask =>
        ask('eth_getBlockByNumber', ['latest', false], blockAnswer),
      )
      return block.number
    },
    async receipt(hash) {
      const receipt = await anyFound(ask => ask('eth_getTransactionReceipt', [hash], receiptAnswer))
      return receipt?.transaction === hash ? receipt : null
    },
    call: hash => anyFound(ask => ask('eth_getTransactionByHash', [hash], transactionAnswer)),
    transfersTo: asked =>
      searchTransfers(asked, filter =>
        firstAnswer(ask => ask('eth_getLogs', [filter], logsAnswer)),
      ),
  }
}

async function* searchTransfers(
  { token, payTo, from, to }: TransfersAsked,
  ask: (filter: object) => Promise<readonly FoundLog[]>,
): AsyncGenerator<FoundLog> {
  const topics = [TRANSFER, null, payTo.map(topicOf)]
  let span = SPAN_FIRST
  let begin = from
  while (begin <= to) {
    const end = begin + span - 1n < to ? begin + span - 1n : to
    const range = { fromBlock: blockTag(begin), toBlock: blockTag(end) }
    try {
      const logs = await ask({ address: token, topics, ...range })
      yield* logs.filter(log => isTransferOf(token, log))
    } catch (error) {
      if (!(error instanceof ChainUnavailableError) || span <= SPAN_LEAST) throw error
      // Most providers refuse wide questions, each at a width of its own.
      span = span / 4n > SPAN_LEAST ? span / 4n : SPAN_LEAST
      continue
    }
    begin = end + 1n
  }
}

/** Other standards have an event of the same name, with its numbers elsewhere. */
function isTransferOf(token: string, { address, topics, data }: FoundLog): boolean {
  const isShaped = topics.length === 3 && topics[0] === TRANSFER && data.length === 66
  return isShaped && address === token.toLowerCase()
}

/** Asked once which chain it serves: another one would call every payment missing. */
function connect(network: Network, url: string): () => Promise<Ask> {
  const ask = connectNode(url, LIMITS)
  let proven: Promise<Ask> | null = null
  return () => {
    proven ??= proveChain(network, ask).then(
      () => ask,
      (error: unknown) => {
        proven = null
        throw error
      },
    )
    return proven
  }
}
