import type { NetworkId } from '../../core/payment.ts'
import type { Clock } from '../../core/time.ts'
import type { LedgerReader, LedgerRow } from '../../ledger/ledger.ts'
import {
  type ChainReader,
  ChainUnavailableError,
  type SignedTransferOnChain,
} from '../../networks/chain-reader.ts'
import type { EvmAudit } from '../../networks/evm-audit.ts'
import { type FoundLog, transactionHash } from '../../networks/evm-wire.ts'
import { isOffChain, judgePaid, movesWhatWasPaid, signedTransfer } from './judge-row.ts'
import { rowById } from './rows.ts'

/** How one row differs from the chain, each with what it means. docs/ledger.md has more. */
export const ROW_DIFFERENCES = {
  transaction_missing: 'The row says that it was paid, and no node knows its transaction.',
  transaction_reverted: 'The row says that it was paid, and its transaction failed.',
  transfer_missing: 'Its transaction moved no such amount from this payer to this receiver.',
  authorization_not_used:
    "Its transaction is another payment's: it did not use this authorization.",
  transaction_other: 'It was paid, and by another transaction than the one that the row names.',
  transfer_shared: 'Another row was paid by the very same transfer.',
  paid_not_recorded: 'The chain has its transfer, and the row does not say that it was paid.',
  used_unproven: 'Its authorization is used, and nothing that was found proves for what.',
} as const

export type RowDifference = keyof typeof ROW_DIFFERENCES

export type NotComparedReason =
  | 'not_on_chain'
  | 'not_evm'
  | 'no_rpc'
  | 'chain_unavailable'
  | 'payload_unreadable'

export type Compared =
  /** The chain has what the row says. */
  | { readonly kind: 'same' }
  /** Paid, as far as no other row claims the same transfer. */
  | { readonly kind: 'paid'; readonly row: LedgerRow; readonly logs: readonly FoundLog[] }
  /** A gateway is working on it now. */
  | { readonly kind: 'in-flight'; readonly row: LedgerRow; readonly logs: readonly FoundLog[] }
  | {
      readonly kind: 'differs'
      readonly difference: RowDifference
      readonly row: LedgerRow
      readonly transaction: string | null
      /** Transfers that are the row's all the same. */
      readonly logs: readonly FoundLog[]
    }
  | { readonly kind: 'not-compared'; readonly reason: NotComparedReason }
  /** There is nothing to compare: no settle was sent, or the payment has another row now. */
  | { readonly kind: 'left-out' }

/** How one network is read. */
export interface NetworkReaders {
  readonly reader: ChainReader
  /** Of logs, which only EVM networks have. */
  readonly audit: EvmAudit | null
}

export interface CompareParts {
  readonly ledger: Pick<LedgerReader, 'list'>
  /** Null where the configuration names no node. */
  readers(network: NetworkId): NetworkReaders | null
  readonly clock: Clock
  /** For how long after its last step a gateway may still be at work on a row. */
  readonly graceMs: number
}

/** A gateway that writes on would otherwise keep a row changing while we read. */
const LOOKS_MAX = 3

/**
 * Compares one row with its chain. The gateway may finish the row between our two looks, so that a
 * difference counts only if the row still says the same afterwards.
 */
export async function compareRow(row: LedgerRow, parts: CompareParts): Promise<Compared> {
  let current = row
  for (let look = 1; ; look++) {
    const compared = await compareOnce(current, parts)
    if (compared.kind !== 'differs') return compared
    const now = await rowById(parts.ledger, row.id)
    if (now === null) return { kind: 'left-out' }
    const isSame = now.state === current.state && now.transaction === current.transaction
    if (isSame || look === LOOKS_MAX) return compared
    current = now
  }
}

async function compareOnce(row: LedgerRow, parts: CompareParts): Promise<Compared> {
  if (row.state === 'forwarded') return { kind: 'left-out' }
  if (isOffChain(row)) return { kind: 'not-compared', reason: 'not_on_chain' }
  const readers = parts.readers(row.network)
  if (readers === null) return { kind: 'not-compared', reason: 'no_rpc' }
  const isPaid = row.state === 'settled' || row.state === 'delivered'
  const isYoung = parts.clock() - row.updatedAt < parts.graceMs
  try {
    return await (isPaid
      ? comparePaid(row, readers, isYoung)
      : compareUnpaid(row, readers, isYoung))
  } catch (error) {
    if (!(error instanceof ChainUnavailableError)) throw error
    return { kind: 'not-compared', reason: 'chain_unavailable' }
  }
}

async function comparePaid(
  row: LedgerRow,
  { reader, audit }: NetworkReaders,
  isYoung: boolean,
): Promise<Compared> {
  if (audit === null) return comparePaidMessage(row, reader, isYoung)
  const hash = transactionHash.safeParse(row.transaction).data ?? null
  const receipt = hash === null ? null : await audit.receipt(hash)
  const needsCall = receipt !== null && signedTransfer(row)?.method === 'permit2'
  const call = needsCall ? await audit.call(receipt.transaction) : null
  const verdict = judgePaid(row, { receipt, call })
  if (verdict.kind === 'paid') return { ...verdict, row }
  const { difference } = verdict
  // Nodes may hear of a block later than the facilitator did.
  const isPending = difference === 'transaction_missing' && hash !== null && isYoung
  if (isPending) return { kind: 'in-flight', row, logs: [] }
  const transfer = signedTransfer(row)
  const use = transfer && (await reader.look(transfer, row)).use
  if (use?.kind !== 'transfer') {
    return { kind: 'differs', difference, row, transaction: row.transaction, logs: [] }
  }
  const { transaction } = use
  const logs = await transfersIn(transaction, row, audit)
  return { kind: 'differs', difference: 'transaction_other', row, transaction, logs }
}

/**
 * On Solana what was signed is a message, which says what it moves and is executed once: no two
 * rows can share a transfer, and whatever executed the row's message has made the row's.
 */
async function comparePaidMessage(
  row: LedgerRow,
  reader: ChainReader,
  isYoung: boolean,
): Promise<Compared> {
  const message = signedTransfer(row)
  if (message === null) return { kind: 'not-compared', reason: 'payload_unreadable' }
  const { use } = await reader.look(message, row)
  if (use === null && isYoung) return { kind: 'in-flight', row, logs: [] }
  const { transaction } = row
  const differs = { kind: 'differs', row, logs: [] } as const
  if (use === null) return { ...differs, difference: 'transaction_missing', transaction }
  if (use.kind !== 'transfer') {
    return { ...differs, difference: 'transaction_reverted', transaction }
  }
  const executedBy = use.transaction
  if (!movesWhatWasPaid(row, message)) {
    return { ...differs, difference: 'transfer_missing', transaction: executedBy }
  }
  if (executedBy === transaction) return { kind: 'paid', row, logs: [] }
  return { ...differs, difference: 'transaction_other', transaction: executedBy }
}

/** The row's own transfers in a transaction, where the network has logs. */
async function transfersIn(
  transaction: string | null,
  row: LedgerRow,
  audit: EvmAudit | null,
): Promise<readonly FoundLog[]> {
  if (transaction === null || audit === null) return []
  const [receipt, call] = await Promise.all([audit.receipt(transaction), audit.call(transaction)])
  const verdict = judgePaid(row, { receipt, call })
  return verdict.kind === 'paid' ? verdict.logs : []
}

async function compareUnpaid(
  row: LedgerRow,
  { reader, audit }: NetworkReaders,
  isYoung: boolean,
): Promise<Compared> {
  const transfer: SignedTransferOnChain | null = signedTransfer(row)
  if (transfer === null) return { kind: 'not-compared', reason: 'payload_unreadable' }
  const { use } = await reader.look(transfer, row)
  // Unused, or cancelled by the payer: it moved nothing for us, as the row says.
  if (use === null || use.kind === 'voided') return { kind: 'same' }
  const transaction = use.kind === 'transfer' ? use.transaction : null
  const logs = await transfersIn(transaction, row, audit)
  if (row.state === 'settling' && isYoung) return { kind: 'in-flight', row, logs }
  const difference = use.kind === 'transfer' ? 'paid_not_recorded' : 'used_unproven'
  return { kind: 'differs', difference, row, transaction, logs }
}
