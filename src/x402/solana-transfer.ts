import { createHash, createPublicKey, verify } from 'node:crypto'
import type { SolanaFlaw } from './check-outcome.ts'
import {
  COMPUTE_BUDGET_PROGRAM,
  LIGHTHOUSE_PROGRAM,
  MEMO_PROGRAM,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
} from './solana-address.ts'
import {
  decodeTransaction,
  type SolanaInstruction,
  type SolanaTransaction,
} from './solana-transaction.ts'

/** What a scheme `exact` payment on Solana promises. Addresses in base58. */
export interface SolanaTransfer {
  readonly feePayer: string
  /** Who signed for the account that the money comes from. */
  readonly payer: string
  /** Token account that the money comes from. */
  readonly source: string
  readonly mint: string
  /** Token account that the money goes to. */
  readonly destination: string
  readonly program: string
  /** Atomic units. */
  readonly amount: bigint
  readonly decimals: number
  readonly blockhash: string
  /** SHA-256 of the message in hexadecimal: the chain lets one message happen once. */
  readonly messageHash: string
  /** Base64 with the fee payer's place empty, which leaves one spelling for one signature. */
  readonly transaction: string
}

export type ReadTransfer =
  | { readonly kind: 'transfer'; readonly transfer: SolanaTransfer }
  | { readonly kind: 'flawed'; readonly flaw: SolanaFlaw }

/** 5 lamports per compute unit (@x402/svm 2.27.0, MAX_COMPUTE_UNIT_PRICE_MICROLAMPORTS). */
const COMPUTE_PRICE_MAX = 5_000_000n

const INSTRUCTIONS_MIN = 3
const INSTRUCTIONS_MAX = 7

/** The fee payer, and who pays. */
const SIGNERS = 2

/** The instructions' own numbers (Solana compute budget program; SPL Token). */
const SET_COMPUTE_LIMIT = 2
const SET_COMPUTE_PRICE = 3
const TRANSFER_CHECKED = 12

const OPTIONAL_PROGRAMS = [MEMO_PROGRAM, LIGHTHOUSE_PROGRAM]

/**
 * Reads a payment and holds it to the layout that the scheme prescribes: compute limit, compute
 * price, one TransferChecked, then notes and guards only; the payer's signature, and the fee
 * payer's account in none of them (x402 specification, scheme_exact_svm; @x402/svm 2.27.0).
 * As the first instruction is no nonce advance, the message lives by its blockhash.
 */
export function readTransfer(base64: string): ReadTransfer {
  const transaction = decodeTransaction(base64)
  if (transaction === null) return flawed('transaction_could_not_be_decoded')
  const { instructions, signers } = transaction
  if (signers !== SIGNERS) return flawed('excessive_signers')
  const flaw = findFlaw(instructions)
  if (flaw !== null) return flawed(flaw)
  const transfer = toTransfer(transaction)
  if (transfer === null) return flawed('no_transfer_instruction')
  const { payer } = transfer
  if (transaction.keys[1] !== payer || !isSigned(transaction)) return flawed('signature_invalid')
  return { kind: 'transfer', transfer }
}

function flawed(flaw: SolanaFlaw): ReadTransfer {
  return { kind: 'flawed', flaw }
}

function findFlaw(instructions: readonly SolanaInstruction[]): SolanaFlaw | null {
  const [limit, price, , ...optional] = instructions
  if (limit === undefined || price === undefined || instructions.length < INSTRUCTIONS_MIN) {
    return 'transaction_instructions_length'
  }
  if (instructions.length > INSTRUCTIONS_MAX) return 'transaction_instructions_length'
  if (!isComputeBudget(limit, SET_COMPUTE_LIMIT, 5)) {
    return 'transaction_instructions_compute_limit_instruction'
  }
  if (!isComputeBudget(price, SET_COMPUTE_PRICE, 9)) {
    return 'transaction_instructions_compute_price_instruction'
  }
  if (Buffer.from(price.data).readBigUInt64LE(1) > COMPUTE_PRICE_MAX) {
    return 'transaction_instructions_compute_price_instruction_too_high'
  }
  if (optional.some(({ program }) => !OPTIONAL_PROGRAMS.includes(program))) {
    return 'unknown_optional_instruction'
  }
  // Place 0 is the fee payer's, who must be able to sign without reading on.
  const touchesFeePayer = instructions.some(({ accounts }) => accounts.includes(0))
  return touchesFeePayer ? 'transaction_fee_payer_transferring_funds' : null
}

function isComputeBudget(
  { program, data }: SolanaInstruction,
  number: number,
  length: number,
): boolean {
  return program === COMPUTE_BUDGET_PROGRAM && data[0] === number && data.length === length
}

function toTransfer(transaction: SolanaTransaction): SolanaTransfer | null {
  const { keys, instructions, message, blockhash } = transaction
  const { program, accounts, data } = instructions[2] ?? {}
  if (program !== TOKEN_PROGRAM && program !== TOKEN_2022_PROGRAM) return null
  if (data?.length !== 10 || data[0] !== TRANSFER_CHECKED || accounts?.length !== 4) return null
  const [source, mint, destination, payer] = accounts.map(place => keys[place] ?? '')
  const [feePayer] = keys
  if (!feePayer || !source || !mint || !destination || !payer) return null
  const view = Buffer.from(data)
  return {
    ...{ feePayer, payer, source, mint, destination, program, blockhash },
    amount: view.readBigUInt64LE(1),
    decimals: view.readUInt8(9),
    messageHash: createHash('sha256').update(message).digest('hex'),
    transaction: withoutFeePayer(transaction),
  }
}

function withoutFeePayer({ signatures, message }: SolanaTransaction): string {
  const [fee, ...others] = signatures
  const parts = [Uint8Array.of(signatures.length), new Uint8Array(fee?.length ?? 0), ...others]
  return Buffer.concat([...parts, message]).toString('base64')
}

/** Before 32 bytes of an Ed25519 key, makes it a public key in DER (RFC 8410). */
const ED25519_DER = Buffer.from('302a300506032b6570032100', 'hex')

function isSigned({ message, rawKeys, signatures }: SolanaTransaction): boolean {
  const [, raw] = rawKeys
  const [, signature] = signatures
  if (raw === undefined || signature === undefined) return false
  const der = Buffer.concat([ED25519_DER, raw])
  return verify(
    null,
    message,
    createPublicKey({ key: der, format: 'der', type: 'spki' }),
    signature,
  )
}
