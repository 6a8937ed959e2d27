import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBase58, encodeBase58 } from '../../src/x402/base58.ts'
import { decodeTransaction, TRANSACTION_BYTES_MAX } from '../../src/x402/solana-transaction.ts'
import { readTransfer } from '../../src/x402/solana-transfer.ts'

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Lengths under 128 are one byte in Solana's short_vec, and these parts stay under that. */
const transaction = fc
  .record({
    versioned: fc.boolean(),
    keys: fc.uniqueArray(bytes32, { minLength: 3, maxLength: 8, selector: String }),
    blockhash: bytes32,
    signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    instructions: fc.array(
      fc.record({
        program: fc.nat(2),
        accounts: fc.array(fc.nat(2), { maxLength: 5 }),
        data: fc.uint8Array({ maxLength: 100 }),
      }),
      { maxLength: 5 },
    ),
  })
  .map(parts => ({ ...parts, wire: write(parts) }))

function write(parts: {
  versioned: boolean
  keys: Uint8Array[]
  blockhash: Uint8Array
  signature: Uint8Array
  instructions: { program: number; accounts: number[]; data: Uint8Array }[]
}): Buffer {
  const { versioned, keys, blockhash, signature, instructions } = parts
  return Buffer.concat([
    Buffer.of(1),
    signature,
    Buffer.from(versioned ? [0x80] : []),
    Buffer.of(1, 0, 1, keys.length),
    ...keys,
    blockhash,
    Buffer.of(instructions.length),
    ...instructions.flatMap(({ program, accounts, data }) => [
      Buffer.of(program, accounts.length, ...accounts, data.length),
      data,
    ]),
    Buffer.from(versioned ? [0] : []),
  ])
}

describe('the decoder of Solana transactions', () => {
  test('reads back what was written', () => {
    fc.assert(
      fc.property(transaction, ({ wire, keys, blockhash, instructions }) => {
        const read = decodeTransaction(base64(wire))
        expect(read?.keys).toEqual(keys.map(encodeBase58))
        expect(read?.blockhash).toBe(encodeBase58(blockhash))
        expect(read?.instructions.map(({ accounts }) => accounts)).toEqual(
          instructions.map(({ accounts }) => accounts),
        )
        expect(Buffer.from(read?.message ?? [])).toEqual(wire.subarray(65))
      }),
    )
  })

  test('refuses what is cut or goes on', () => {
    fc.assert(
      fc.property(transaction, fc.nat(), fc.uint8Array({ minLength: 1 }), (one, cut, more) => {
        const { wire } = one
        expect(decodeTransaction(base64(wire.subarray(0, cut % wire.length)))).toBeNull()
        expect(decodeTransaction(base64(Buffer.concat([wire, more])))).toBeNull()
      }),
    )
  })

  test('never throws, whatever the bytes and whatever the text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: TRANSACTION_BYTES_MAX + 50 }), bytes => {
        expect(() => readTransfer(base64(bytes))).not.toThrow()
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(readTransfer(text)).toMatchObject({ kind: 'flawed' })
      }),
    )
  })

  test('never throws, and gives no other message the same bytes, when one byte is another', () => {
    fc.assert(
      fc.property(transaction, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, at, change) => {
        const wire = Buffer.from(one.wire)
        const place = at % wire.length
        wire.writeUInt8(wire.readUInt8(place) ^ change, place)
        const read = decodeTransaction(base64(wire))
        if (read !== null) expect(Buffer.from(read.message)).toEqual(wire.subarray(65))
      }),
    )
  })

  test.each([
    ['a look-up table', (wire: Buffer) => Buffer.concat([wire.subarray(0, -1), Buffer.of(1)])],
    ['a length in two bytes that fits one', (wire: Buffer) => aliased(wire)],
    ['another version', (wire: Buffer) => Buffer.from(wire).fill(0x81, 65, 66)],
    ['more signatures than signers', (wire: Buffer) => Buffer.from(wire).fill(2, 66, 67)],
  ])('refuses %s', (_, change) => {
    const keys = [1, 2, 3].map(byte => new Uint8Array(32).fill(byte))
    const parts = { versioned: true, keys, blockhash: new Uint8Array(32), instructions: [] }
    const wire = write({ ...parts, signature: new Uint8Array(64) })
    expect(decodeTransaction(base64(wire))).not.toBeNull()
    expect(decodeTransaction(base64(change(wire)))).toBeNull()
  })

  test('refuses a key that stands twice', () => {
    const keys = [1, 2, 1].map(byte => new Uint8Array(32).fill(byte))
    const parts = { versioned: false, keys, blockhash: new Uint8Array(32), instructions: [] }
    const wire = write({ ...parts, signature: new Uint8Array(64) })
    expect(decodeTransaction(base64(wire))).toBeNull()
  })
})

function aliased(wire: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x81, 0), wire.subarray(1)])
}

describe('base58', () => {
  test('has one spelling for up to 64 bytes, and is read back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
        expect(decodeBase58(encodeBase58(bytes))).toEqual(bytes)
      }),
    )
    fc.assert(
      fc.property(fc.string({ maxLength: 90 }), text => {
        const bytes = decodeBase58(text)
        if (bytes !== null) expect(encodeBase58(bytes)).toBe(text)
      }),
    )
  })
})
