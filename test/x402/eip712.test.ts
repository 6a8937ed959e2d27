import fc from 'fast-check'
import { domainSeparator, type Hex, hexToBytes, keccak256, numberToHex, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, test } from 'vitest'
import { hashDomain, recoverSigner } from '../../src/x402/eip712.ts'
import { buyer } from '../support/accounts.ts'

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const word = (value: bigint) => numberToHex(value, { size: 32 }).slice(2)

test('hashes any signing domain as viem does, with a version or without', () => {
  const text = fc.string({ unit: 'binary' }).filter(given => given.isWellFormed())
  const version = fc.option(text)
  fc.assert(
    fc.property(
      text,
      version,
      fc.bigInt(0n, 2n ** 53n - 1n),
      bytes32,
      (name, version, id, bytes) => {
        const verifyingContract = toHex(bytes.subarray(12))
        const own = hashDomain({ name, version, chainId: id, verifyingContract })
        const domain = { name, chainId: Number(id), verifyingContract }
        const expected = domainSeparator({
          domain: version === null ? domain : { ...domain, version },
        })
        expect(toHex(own)).toBe(expected)
      },
    ),
  )
})

test('recovers the account of any key from its signature over any digest', async () => {
  await fc.assert(
    fc.asyncProperty(bytes32, bytes32, async (key, digest) => {
      const scalar = BigInt(toHex(key))
      fc.pre(scalar > 0n && scalar < ORDER)
      const account = privateKeyToAccount(toHex(key))
      const signature = await account.sign({ hash: toHex(digest) })
      expect(recoverSigner(digest, signature)).toBe(account.address.toLowerCase())
    }),
    { numRuns: 50 },
  )
})

describe('bytes that token contracts refuse recover to nobody', async () => {
  const hash = keccak256('0x01')
  const digest = hexToBytes(hash)
  const signature = await buyer.sign({ hash })
  const r = BigInt(signature.slice(0, 66))
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  const v = signature.slice(130)
  const otherV = v === '1b' ? '1c' : '1b'
  const join = (first: bigint, second: bigint, last: string): Hex =>
    `0x${word(first)}${word(second)}${last}`

  test('the signature that they are made from is good', () => {
    expect(recoverSigner(digest, join(r, s, v))).toBe(buyer.address.toLowerCase())
  })

  test.each([
    ['the mirror image with a high s', join(r, ORDER - s, otherV)],
    ['a high s with the old v', join(r, ORDER - s, v)],
    ['s one above half the order', join(r, ORDER / 2n + 1n, v)],
    ['v as 0 or 1', join(r, s, v === '1b' ? '00' : '01')],
    ['v 29', join(r, s, '1d')],
    ['v 35, as transactions have it', join(r, s, '23')],
    ['64 bytes', join(r, s, '')],
    ['66 bytes', join(r, s, `${v}00`)],
    ['the compact form of EIP-2098', join(r, s | (v === '1c' ? 1n << 255n : 0n), '')],
    ['no bytes', '0x'],
    ['r zero', join(0n, s, v)],
    ['s zero', join(r, 0n, v)],
    ['r the order', join(ORDER, s, v)],
    ['r above the order', join(ORDER + 1n, s, v)],
    ['r all ones', join(2n ** 256n - 1n, s, v)],
    ['s the order', join(r, ORDER, v)],
    // 5 is on no point of the curve.
    ['r off the curve', join(5n, s, v)],
    ['a signature wrapped by EIP-6492', `${join(r, s, v)}${'6492'.repeat(16)}`],
  ])('%s', (_, bytes) => {
    expect(recoverSigner(digest, bytes)).toBeNull()
  })

  test('the other v recovers to somebody else', () => {
    const other = recoverSigner(digest, join(r, s, otherV))
    expect(other).toMatch(/^0x[0-9a-f]{40}$/)
    expect(other).not.toBe(buyer.address.toLowerCase())
  })

  test('s exactly half the order is low', () => {
    expect(recoverSigner(digest, join(r, ORDER / 2n, v))).toMatch(/^0x[0-9a-f]{40}$/)
  })

  test('65 random bytes never throw', () => {
    fc.assert(
      fc.property(bytes32, bytes32, bytes32, fc.constantFrom('1b', '1c'), (...random) => {
        const [hashed, first, second, last] = random
        const bytes = join(BigInt(toHex(first)), BigInt(toHex(second)), last)
        expect(recoverSigner(hashed, bytes) ?? '0x').toMatch(/^0x/)
      }),
      { numRuns: 500 },
    )
  })
})
