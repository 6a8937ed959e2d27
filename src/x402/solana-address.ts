import { createHash } from 'node:crypto'
import { decodeBase58, encodeBase58 } from './base58.ts'

/** Programs that a scheme `exact` payment may call (@x402/svm 2.27.0, constants). */
export const TOKEN_PROGRAM = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA'
export const TOKEN_2022_PROGRAM = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb'
export const COMPUTE_BUDGET_PROGRAM = 'ComputeBudget111111111111111111111111111111'
export const MEMO_PROGRAM = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr'
export const LIGHTHOUSE_PROGRAM = 'L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95'

/** SPL Associated Token Account program. */
const ASSOCIATED_TOKEN_PROGRAM = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL'

/** 32 bytes of a Solana address; null for any other text. */
export function readSolanaAddress(text: string): Uint8Array | null {
  const bytes = decodeBase58(text)
  return bytes?.length === 32 ? bytes : null
}

/**
 * The account in which an owner holds a token: seeds owner, program and mint, with the highest bump
 * that gives no point of the curve (SPL Associated Token Account, `find_program_address`).
 *
 * @returns Null when one of the three is no address.
 */
export function associatedTokenAccount(owner: string, program: string, mint: string) {
  const seeds = [owner, program, mint].map(readSolanaAddress)
  if (!seeds.every(seed => seed !== null)) return null
  const suffix = Buffer.concat([
    readSolanaAddress(ASSOCIATED_TOKEN_PROGRAM) ?? new Uint8Array(),
    Buffer.from('ProgramDerivedAddress'),
  ])
  for (let bump = 255; bump >= 0; bump--) {
    const hash = createHash('sha256')
    for (const seed of seeds) hash.update(seed)
    const candidate = hash.update(Uint8Array.of(bump)).update(suffix).digest()
    if (!isOnCurve(candidate)) return encodeBase58(candidate)
  }
  return null
}

const P = 2n ** 255n - 19n
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

/** Whether 32 bytes are a point of Ed25519 (RFC 8032, section 5.1.3): then somebody may sign. */
export function isOnCurve(bytes: Uint8Array): boolean {
  const written = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  const y = BigInt.asUintN(255, written)
  const isNegative = written >> 255n === 1n
  const u = (y * y - 1n + P) % P
  const v = (D * y * y + 1n) % P
  // x² = u / v has a root when u · v is a square.
  const product = (u * v) % P
  if (product === 0n) return !isNegative
  return power(product, (P - 1n) / 2n) === 1n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  let square = base
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P
    square = (square * square) % P
  }
  return result
}
