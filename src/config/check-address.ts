import { checksumAddress } from '../x402/address.ts'
import { readSolanaAddress } from '../x402/solana-address.ts'
import type { Finding } from './problems.ts'

export type ReadAddress =
  | { readonly kind: 'address'; readonly address: string }
  | ({ readonly kind: 'refused' } & Finding)

const COPY_AGAIN = 'Copy it again from your wallet: money sent to a wrong address is lost.'

/**
 * Reads an EVM address and gives it its checksum (EIP-55). Mixed letter case is a checksum and must
 * be right; an address in one case has none.
 */
export function readEvmAddress(text: string): ReadAddress {
  if (!/^0x[0-9a-fA-F]*$/.test(text)) {
    return refused('is not an EVM address', 'Write 0x and 40 hex digits.')
  }
  const digits = text.slice(2)
  if (digits.length !== 40) return refused(explainLength(digits.length), COPY_AGAIN)
  if (/^0*$/.test(digits)) return refused('is the zero address, which nobody owns', COPY_AGAIN)
  const address = checksumAddress(text)
  const hasChecksum = digits !== digits.toLowerCase() && digits !== digits.toUpperCase()
  if (!hasChecksum || address === text) return { kind: 'address', address }
  return refused('has a wrong checksum: at least one character is not as it was', COPY_AGAIN)
}

/** Reads a Solana address. It has no checksum: only its length can be held to anything. */
export function readSolanaReceiver(text: string): ReadAddress {
  const bytes = readSolanaAddress(text)
  if (bytes === null) {
    return refused('is not a Solana address', 'Write the 32 to 44 base58 characters of a wallet.')
  }
  if (bytes.some(byte => byte !== 0)) return { kind: 'address', address: text }
  return refused('is the address of the system program, which nobody owns', COPY_AGAIN)
}

function explainLength(length: number): string {
  if (length === 64) return 'has 64 hex digits, like a private key, which must never be here'
  return `has ${length} hex digits where an address has 40`
}

function refused(message: string, cure: string): ReadAddress {
  return { kind: 'refused', message, cure }
}
