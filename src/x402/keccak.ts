import { hash } from 'node:crypto'
import { FareboxError } from '../errors.ts'

/** Node.js cannot compute the hash that Ethereum uses: its OpenSSL is too old or restricted. */
export class KeccakMissingError extends FareboxError {
  readonly code = 'keccak_missing'

  constructor(cause: unknown) {
    const found = process.versions.openssl
    super(`This Node.js cannot compute keccak-256: it runs with OpenSSL ${found}.`, {
      fix: 'Use a Node.js from https://nodejs.org, or run the image: OpenSSL has to be 3.2 or newer.',
      cause,
    })
  }
}

/**
 * Keccak with 256 bits, padded as Ethereum pads it, which is not SHA-3 (OpenSSL's EVP_MD-KECCAK).
 *
 * @throws KeccakMissingError where this Node.js does not have it.
 */
export function keccak256(bytes: Uint8Array): Buffer {
  try {
    return hash('keccak-256', bytes, 'buffer')
  } catch (cause) {
    throw new KeccakMissingError(cause)
  }
}
