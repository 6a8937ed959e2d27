// The package's front door also loads script compilers and virtual machines: 150 ms of every start.
import { instantiateSecp256k1 } from '@bitauth/libauth/build/lib/crypto/secp256k1.js'
import { keccak256 } from './keccak.ts'

/**
 * EIP-712 hashing of the few fixed structs that payments sign, written out as 32-byte words: the
 * general encoder costs more than everything else in the paid path together.
 */

const encoder = new TextEncoder()

export function typeHash(type: string): Uint8Array {
  return keccak256(encoder.encode(type))
}

/** Hash of a struct whose members are already words (EIP-712, "Definition of hashStruct"). */
export function hashStruct(words: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 32)
  words.forEach((word, index) => {
    bytes.set(word, index * 32)
  })
  return keccak256(bytes)
}

/** The digest that is signed (EIP-712, "eth_signTypedData"). */
export function typedDataDigest(domainSeparator: Uint8Array, struct: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(66)
  bytes[0] = 0x19
  bytes[1] = 0x01
  bytes.set(domainSeparator, 2)
  bytes.set(struct, 34)
  return keccak256(bytes)
}

const DOMAIN = typeHash(
  'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
)
const DOMAIN_WITHOUT_VERSION = typeHash(
  'EIP712Domain(string name,uint256 chainId,address verifyingContract)',
)

export interface Domain {
  readonly name: string
  /** Null where the contract's domain has no version (Permit2). */
  readonly version: string | null
  readonly chainId: bigint
  readonly verifyingContract: string
}

export function hashDomain(domain: Domain): Uint8Array {
  const tail = [uintWord(domain.chainId), addressWord(domain.verifyingContract)]
  if (domain.version === null) {
    return hashStruct([DOMAIN_WITHOUT_VERSION, typeHash(domain.name), ...tail])
  }
  return hashStruct([DOMAIN, typeHash(domain.name), typeHash(domain.version), ...tail])
}

export function uintWord(value: bigint): Uint8Array {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
}

/** @param address "0x" and 40 hex digits. */
export function addressWord(address: string): Uint8Array {
  const word = new Uint8Array(32)
  word.set(Buffer.from(address.slice(2), 'hex'), 12)
  return word
}

/** @param hex "0x" and 64 hex digits. */
export function bytes32Word(hex: string): Uint8Array {
  return Buffer.from(hex.slice(2), 'hex')
}

/** libsecp256k1 in WebAssembly. */
const curve = await instantiateSecp256k1()

/** Half of the curve's order: tokens refuse a signature whose s is above it (EIP-2). */
const HALF_ORDER = Buffer.from(
  '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0',
  'hex',
)

/**
 * Lower-case address of the ordinary account that signed, or null when the bytes are not an
 * ordinary account's signature as token contracts accept it (65 bytes, low s, v 27 or 28).
 *
 * @param signature "0x" and hex digits.
 */
export function recoverSigner(digest: Uint8Array, signature: string): string | null {
  if (signature.length !== 132) return null
  const bytes = Buffer.from(signature.slice(2), 'hex')
  const v = bytes[64]
  if (v !== 27 && v !== 28) return null
  if (bytes.compare(HALF_ORDER, 0, 32, 32, 64) > 0) return null
  const recoveryId = v === 27 ? 0 : 1
  const publicKey = curve.recoverPublicKeyUncompressed(bytes.subarray(0, 64), recoveryId, digest)
  // A text says why not: r or s is zero or outside the curve's order, or r is on no point.
  if (typeof publicKey === 'string') return null
  return `0x${keccak256(publicKey.subarray(1)).toString('hex', 12)}`
}

export interface RecoverableSignature {
  /** r, then s, 32 bytes each. */
  readonly compact: Uint8Array
  readonly yParity: 0 | 1
}

/** Signs a digest with a private key of 32 bytes; deterministic (RFC 6979), low s. */
export function signDigest(privateKey: Uint8Array, digest: Uint8Array): RecoverableSignature {
  const signed = curve.signMessageHashRecoverableCompact(privateKey, digest)
  if (typeof signed === 'string') throw new RangeError('The private key is not one of the curve.')
  return { compact: signed.signature, yParity: signed.recoveryId === 1 ? 1 : 0 }
}
