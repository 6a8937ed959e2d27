import { encodeBase58 } from './base58.ts'

/** One call of a program, with the places of its accounts among the message's keys. */
export interface SolanaInstruction {
  readonly program: string
  readonly accounts: readonly number[]
  readonly data: Uint8Array
}

/** A transaction as Solana's wire format has it (legacy, or version 0 without look-up tables). */
export interface SolanaTransaction {
  /** One for each signer, in the order of the keys. Zeros stand for one that has yet to sign. */
  readonly signatures: readonly Uint8Array[]
  /** What is signed, and what Solana lets happen once. */
  readonly message: Uint8Array
  /** Addresses in base58, each once; the first pays the fee, and the first ones sign. */
  readonly keys: readonly string[]
  readonly rawKeys: readonly Uint8Array[]
  readonly signers: number
  readonly blockhash: string
  readonly instructions: readonly SolanaInstruction[]
}

/** What fits in one packet of Solana, and so into a block (Solana, PACKET_DATA_SIZE). */
export const TRANSACTION_BYTES_MAX = 1232

/** Base64 of that many bytes. */
const TRANSACTION_CHARACTERS_MAX = 1644

const SIGNATURE_BYTES = 64
const KEY_BYTES = 32

/**
 * Reads base64 of a transaction in its one spelling: no byte is left over, no length is written
 * longer than it has to be, no key stands twice.
 *
 * A look-up table would let accounts in that only the chain can name, so it is refused.
 *
 * @returns Null for everything else.
 */
export function decodeTransaction(base64: string): SolanaTransaction | null {
  if (base64.length > TRANSACTION_CHARACTERS_MAX) return null
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length > TRANSACTION_BYTES_MAX || bytes.toString('base64') !== base64) return null
  try {
    return readTransaction(new Bytes(bytes))
  } catch (error) {
    if (error instanceof NotATransaction) return null
    throw error
  }
}

class NotATransaction extends Error {}

function readTransaction(bytes: Bytes): SolanaTransaction {
  const signatures = bytes.list(() => bytes.take(SIGNATURE_BYTES))
  const message = bytes.rest()
  const isVersioned = (bytes.peek() & 0x80) !== 0
  if (isVersioned && bytes.byte() !== 0x80) throw new NotATransaction()
  const [signers, readonlySigners, readonlyOthers] = [bytes.byte(), bytes.byte(), bytes.byte()]
  const rawKeys = bytes.list(() => bytes.take(KEY_BYTES))
  const blockhash = encodeBase58(bytes.take(KEY_BYTES))
  const keys = rawKeys.map(encodeBase58)
  const instructions = bytes.list(() => readInstruction(bytes, keys))
  if (isVersioned) bytes.list(() => bytes.fail())
  bytes.end()
  const isWhole =
    signers === signatures.length &&
    readonlySigners < signers &&
    signers + readonlyOthers <= keys.length &&
    new Set(keys).size === keys.length
  if (!isWhole) throw new NotATransaction()
  return { signatures, message, keys, rawKeys, signers, blockhash, instructions }
}

function readInstruction(bytes: Bytes, keys: readonly string[]): SolanaInstruction {
  const program = keys[bytes.byte()] ?? bytes.fail()
  const accounts = bytes.list(() => bytes.byte())
  const data = bytes.take(bytes.length())
  if (accounts.some(place => place >= keys.length)) bytes.fail()
  return { program, accounts, data }
}

/** Reads from the front; `NotATransaction` where there is too little. */
class Bytes {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  peek(): number {
    return this.#bytes[this.#at] ?? this.fail()
  }

  byte(): number {
    const byte = this.peek()
    this.#at++
    return byte
  }

  take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) this.fail()
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  /** Without moving on. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at)
  }

  /** A length in one to three bytes of seven bits each (Solana, `short_vec`). */
  length(): number {
    const first = this.byte()
    if (first < 0x80) return first
    const second = this.byte()
    // Nothing in 1,232 bytes is as long as three bytes could say, and zero would be an alias.
    if (second >= 0x80 || second === 0) return this.fail()
    return (first & 0x7f) | (second << 7)
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.length() }, read)
  }

  end(): void {
    if (this.#at !== this.#bytes.length) this.fail()
  }

  fail(): never {
    throw new NotATransaction()
  }
}
