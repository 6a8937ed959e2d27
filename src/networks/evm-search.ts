import type { ChainBlock, LookHints, NonceUse, SignedTransferOnChain } from './chain-reader.ts'
import type { FoundLog, TransactionReceipt } from './evm-wire.ts'
import { NONCES_INVALIDATED, PERMIT2, provePermit } from './permit2-proof.ts'
import {
  AUTHORIZATION_CANCELED,
  AUTHORIZATION_USED,
  isExactTransfer,
  type Proof,
  proveAuthorization,
  TRANSFER,
  topicOf,
} from './receipt-proof.ts'

export interface LogFilter {
  readonly address: string
  /** One entry for each place; a list stands for any of its values. */
  readonly topics: readonly (string | readonly string[])[]
}

/** One node. Every method rejects when it does not answer, or when a look has asked enough. */
export interface EvmNode {
  block(at: bigint | 'latest' | 'finalized'): Promise<ChainBlock>
  /** Null while it is not mined. */
  receipt(hash: string): Promise<TransactionReceipt | null>
  transaction(hash: string): Promise<{ readonly to: string | null; readonly input: string } | null>
  /** Both ends are included. */
  logs(filter: LogFilter, from: bigint, to: bigint): Promise<readonly FoundLog[]>
  /** Reads one word of a contract's state. */
  word(call: { readonly to: string; readonly data: string }, at: bigint): Promise<bigint>
}

/** Clocks of the chain and of our machine may differ by this much. */
const CLOCK_SECONDS = 60
/** Somebody may have used the payment before we were shown it. */
const EARLIER_SECONDS = 3600
/** Blocks that one question for events spans at first; a node that refuses gets smaller ones. */
const SPAN_FIRST = 2_000n
const SPAN_LEAST = 10n

/** Finds out what used up a nonce that is known to be used. Asks for what was named first. */
export async function findUse(
  node: EvmNode,
  transfer: SignedTransferOnChain,
  hints: LookHints & { readonly latest: ChainBlock },
): Promise<NonceUse> {
  if (hints.transaction !== null) {
    const use = toUse(await prove(node, hints.transaction, transfer))
    // Taking a Permit2 nonce out of use says nothing of whether it was used before that.
    const isCertain = use?.kind === 'transfer' || transfer.method === 'eip3009'
    if (use !== null && isCertain) return use
  }
  const { createdAt, latest } = hints
  const shown = Math.floor(createdAt / 1000)
  const begin = await blockBefore(node, shown - CLOCK_SECONDS, latest)
  const end = await blockAfter(node, transfer.validBefore, latest)
  const near = await searchRange(node, transfer, { from: begin, to: end })
  if (near.kind !== 'unproven') return near
  const earlier = await blockBefore(node, shown - EARLIER_SECONDS, latest)
  return searchRange(node, transfer, { from: earlier, to: begin })
}

interface Range {
  readonly from: bigint
  readonly to: bigint
}

async function searchRange(
  node: EvmNode,
  transfer: SignedTransferOnChain,
  range: Range,
): Promise<NonceUse> {
  let voided: NonceUse | null = null
  let doubtful = false
  for await (const hash of candidates(node, transfer, range)) {
    const proven = await prove(node, hash, transfer)
    const use = toUse(proven)
    if (use?.kind === 'transfer') return use
    // The money may have moved in there in a way that we cannot read.
    if (proven === null || use?.kind === 'unproven') doubtful = true
    if (use?.kind === 'voided') voided = use
  }
  return voided === null || doubtful ? { kind: 'unproven' } : voided
}

/** Hashes of transactions that may have used the nonce, oldest first, each once. */
async function* candidates(
  node: EvmNode,
  transfer: SignedTransferOnChain,
  range: Range,
): AsyncGenerator<string> {
  const filters = filtersFor(transfer)
  const seen = new Set<string>()
  let span = SPAN_FIRST
  let from = range.from
  while (from <= range.to) {
    const to = from + span - 1n < range.to ? from + span - 1n : range.to
    const [one, other] = [from, to]
    const found = await Promise.all(filters.map(filter => node.logs(filter, one, other))).catch(
      (error: unknown) => {
        if (span <= SPAN_LEAST) throw error
        return null
      },
    )
    if (found === null) {
      // Most providers refuse wide questions, each at a width of its own.
      span = span / 4n > SPAN_LEAST ? span / 4n : SPAN_LEAST
      continue
    }
    for (const log of found.flat()) {
      if (log.topics[0] === TRANSFER && !isExactTransfer(log, transfer)) continue
      if (!seen.has(log.transactionHash)) yield log.transactionHash
      seen.add(log.transactionHash)
    }
    from = to + 1n
  }
}

function filtersFor(transfer: SignedTransferOnChain): LogFilter[] {
  const { method, token, payer, payTo, nonce } = transfer
  if (method === 'eip3009') {
    const events = [AUTHORIZATION_USED, AUTHORIZATION_CANCELED]
    return [{ address: token, topics: [events, topicOf(payer), topicOf(nonce)] }]
  }
  return [
    { address: token, topics: [TRANSFER, topicOf(payer), topicOf(payTo)] },
    { address: PERMIT2, topics: [NONCES_INVALIDATED, topicOf(payer)] },
  ]
}

interface Proven {
  readonly proof: Proof
  readonly transaction: string
  readonly block: bigint
}

/** A transaction that is unknown, pending or reverted proves nothing. */
async function prove(
  node: EvmNode,
  hash: string,
  transfer: SignedTransferOnChain,
): Promise<Proven | null> {
  const receipt = await node.receipt(hash)
  if (receipt === null || !receipt.succeeded || receipt.transaction !== hash) return null
  const { transaction, block, logs } = receipt
  if (transfer.method === 'eip3009') {
    return { proof: proveAuthorization(logs, transfer), transaction, block }
  }
  const sent = await node.transaction(hash)
  return sent === null ? null : { proof: provePermit(sent, logs, transfer), transaction, block }
}

function toUse(proven: Proven | null): NonceUse | null {
  if (proven === null) return null
  const { proof, transaction, block } = proven
  switch (proof) {
    case 'transfer':
      return { kind: 'transfer', transaction, block }
    case 'cancelled':
    case 'other-use':
      return { kind: 'voided', how: proof, block }
    case 'unproven':
      return { kind: 'unproven' }
    case 'unrelated':
      return null
  }
}

/** How far off the blocks that we look for by their time may be. */
const NEAR_BLOCKS = 500n

/** A block not younger than `seconds`, and the newest of those give or take `NEAR_BLOCKS`. */
async function blockBefore(node: EvmNode, seconds: number, latest: ChainBlock): Promise<bigint> {
  return (await blocksAround(node, seconds, latest)).older
}

async function blockAfter(node: EvmNode, seconds: number, latest: ChainBlock): Promise<bigint> {
  return (await blocksAround(node, seconds, latest)).newer
}

/** Steps back in ever larger steps, then halves what is between: some dozens of questions. */
async function blocksAround(
  node: EvmNode,
  seconds: number,
  latest: ChainBlock,
): Promise<{ readonly older: bigint; readonly newer: bigint }> {
  let newer = latest.number
  let older = latest
  for (let step = 32n; older.timestamp > seconds && older.number > 0n; step *= 4n) {
    newer = older.number
    older = await node.block(older.number > step ? older.number - step : 0n)
  }
  while (newer - older.number > NEAR_BLOCKS) {
    const middle = await node.block((newer + older.number) / 2n)
    if (middle.timestamp > seconds) newer = middle.number
    else older = middle
  }
  return { older: older.number, newer }
}
