import type { LedgerRow } from '../../ledger/ledger.ts'
import type { SignedTransferOnChain } from '../../networks/chain-reader.ts'
import type { FoundLog, TransactionReceipt } from '../../networks/evm-wire.ts'
import { provePermit } from '../../networks/permit2-proof.ts'
import {
  AUTHORIZATION_USED,
  isExactTransfer,
  proveAuthorization,
  TRANSFER,
  topicOf,
} from '../../networks/receipt-proof.ts'
import { associatedTokenAccount } from '../../x402/solana-address.ts'
import { readTransfer } from '../../x402/solana-transfer.ts'
import { onChain, readStoredPayment } from '../../x402/stored-payment.ts'

/** What the chain has of a row that says that it was paid. */
export type PaidVerdict =
  /** Its transfers in that transaction, the most likely first. Never empty. */
  | { readonly kind: 'paid'; readonly logs: readonly FoundLog[] }
  | {
      readonly kind: 'differs'
      readonly difference:
        | 'transaction_missing'
        | 'transaction_reverted'
        | 'transfer_missing'
        | 'authorization_not_used'
    }

/** What was found under the row's transaction; null where nothing was. */
export interface FoundTransaction {
  readonly receipt: TransactionReceipt | null
  readonly call: { readonly to: string | null; readonly input: string } | null
}

/** Null when the row's payload is not one that we know to be unique on a chain. */
export function signedTransfer(row: LedgerRow): SignedTransferOnChain | null {
  const stored = readStoredPayment(row)
  const unique = stored && onChain(stored)
  return unique === null ? null : { ...transferOf(row), ...unique }
}

/** Whether it was paid from a balance at Circle Gateway, of which its chain has no transfer. */
export function isOffChain(row: LedgerRow): boolean {
  return readStoredPayment(row)?.unique.method === 'gateway-wallet'
}

function transferOf(row: LedgerRow): Omit<SignedTransferOnChain, 'method' | 'nonce'> {
  const { asset: token, payer, payTo, amount, validBefore } = row
  return { token, payer, payTo, amount, validBefore }
}

/**
 * Compares a settled row with the transaction that it names. Pure.
 *
 * Somebody's transfer of the same amount is not enough: a facilitator could name an older one of
 * the same payer. Where the transaction tells whose authorization it used, it must be the row's.
 */
export function judgePaid(row: LedgerRow, { receipt, call }: FoundTransaction): PaidVerdict {
  if (receipt === null) return { kind: 'differs', difference: 'transaction_missing' }
  if (!receipt.succeeded) return { kind: 'differs', difference: 'transaction_reverted' }
  const transfer = signedTransfer(row)
  // The method plays no part in what an exact transfer is.
  const exact = { ...transferOf(row), method: 'eip3009', nonce: '' } as const
  const logs = receipt.logs.filter(log => isExactTransfer(log, exact))
  if (logs.length === 0) return { kind: 'differs', difference: 'transfer_missing' }
  if (transfer === null) return { kind: 'paid', logs }
  if (transfer.method === 'permit2') {
    const proof = call === null ? 'unproven' : provePermit(call, receipt.logs, transfer)
    const isElsewhere = proof === 'unrelated' || proof === 'cancelled'
    if (isElsewhere) return { kind: 'differs', difference: 'authorization_not_used' }
    return { kind: 'paid', logs }
  }
  if (proveAuthorization(receipt.logs, transfer) !== 'transfer') {
    return { kind: 'differs', difference: 'authorization_not_used' }
  }
  return { kind: 'paid', logs: [ownLog(receipt.logs, transfer) ?? logs[0]].flatMap(keepFound) }
}

/** Whether a message on Solana moves what its row says: it says so itself. */
export function movesWhatWasPaid(row: LedgerRow, { nonce }: SignedTransferOnChain): boolean {
  const read = readTransfer(nonce)
  if (read.kind !== 'transfer') return false
  const { payer, mint, amount, destination, program } = read.transfer
  const isToReceiver = destination === associatedTokenAccount(row.payTo, program, row.asset)
  return payer === row.payer && mint === row.asset && amount === row.amount && isToReceiver
}

/** The transfer that the token emits right after it used the authorization. */
function ownLog(logs: readonly FoundLog[], transfer: SignedTransferOnChain): FoundLog | null {
  const own = logs.filter(log => log.address === transfer.token.toLowerCase())
  const names = [AUTHORIZATION_USED, topicOf(transfer.payer), topicOf(transfer.nonce)]
  const used = own.findIndex(log => names.every((name, place) => log.topics[place] === name))
  const next = own.slice(used + 1).find(log => log.topics[0] === TRANSFER)
  return next !== undefined && isExactTransfer(next, transfer) ? next : null
}

function keepFound(log: FoundLog | undefined): FoundLog[] {
  return log === undefined ? [] : [log]
}
