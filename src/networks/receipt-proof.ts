import { type Hex, keccak256, pad, stringToHex } from 'viem'
import type { SignedTransferOnChain } from './chain-reader.ts'

/** One event as a node tells of it. Everything in lower-case hexadecimal. */
export interface EventLog {
  readonly address: string
  readonly topics: readonly string[]
  readonly data: string
}

/** What one successful transaction did with a transfer's nonce. */
export type Proof =
  | 'transfer'
  | 'cancelled'
  /** It used the nonce, and the money that was promised did not move in it. */
  | 'other-use'
  /** It used the nonce, and whether for our transfer cannot be told. */
  | 'unproven'
  /** It has nothing to do with the nonce. */
  | 'unrelated'

/** EIP-20 and EIP-3009, "Events". */
export const TRANSFER = eventTopic('Transfer(address,address,uint256)')
export const AUTHORIZATION_USED = eventTopic('AuthorizationUsed(address,bytes32)')
export const AUTHORIZATION_CANCELED = eventTopic('AuthorizationCanceled(address,bytes32)')

function eventTopic(signature: string): Hex {
  return keccak256(stringToHex(signature))
}

/** A value as an indexed event argument has it. */
export function topicOf(hex: string): Hex {
  return pad(hex.toLowerCase() as Hex) // callers hand in what a schema has checked
}

/**
 * Reads the events of one successful transaction, in their order.
 *
 * An authorization's own transfer is the one that the token emits right after `AuthorizationUsed`.
 * In a transaction that uses several authorizations nothing else is believed: a payer could use one
 * for himself and let another one's transfer count for both.
 */
export function proveAuthorization(
  logs: readonly EventLog[],
  transfer: SignedTransferOnChain,
): Proof {
  const token = transfer.token.toLowerCase()
  const own = logs.filter(log => log.address === token)
  const nonce = [topicOf(transfer.payer), topicOf(transfer.nonce)]
  const isOurs = ({ topics }: EventLog): boolean => topics[1] === nonce[0] && topics[2] === nonce[1]
  if (own.some(log => log.topics[0] === AUTHORIZATION_CANCELED && isOurs(log))) return 'cancelled'
  const place = own.findIndex(log => log.topics[0] === AUTHORIZATION_USED && isOurs(log))
  if (place === -1) return 'unrelated'
  const paid = own.filter(log => isExactTransfer(log, transfer))
  if (paid.length === 0) return 'other-use'
  const uses = own.filter(log => log.topics[0] === AUTHORIZATION_USED)
  if (uses.length === 1) return 'transfer'
  const next = own
    .slice(place + 1)
    .find(log => log.topics[0] === TRANSFER || log.topics[0] === AUTHORIZATION_USED)
  return next !== undefined && paid.includes(next) ? 'transfer' : 'unproven'
}

/** Whether this is the token's word that exactly the amount went from payer to payTo. */
export function isExactTransfer(log: EventLog, transfer: SignedTransferOnChain): boolean {
  return (
    log.address === transfer.token.toLowerCase() &&
    log.topics[0] === TRANSFER &&
    log.topics[1] === topicOf(transfer.payer) &&
    log.topics[2] === topicOf(transfer.payTo) &&
    /^0x[0-9a-f]{64}$/.test(log.data) &&
    BigInt(log.data) === transfer.amount
  )
}
