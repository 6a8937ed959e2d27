import fc from 'fast-check'
import { toHex, keccak256 as viemKeccak256 } from 'viem'
import { afterEach, expect, test, vi } from 'vitest'
import { KeccakMissingError, keccak256 } from '../../src/x402/keccak.ts'

afterEach(() => {
  vi.doUnmock('node:crypto')
  vi.resetModules()
})

test('any bytes hash as viem hashes them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), bytes => {
      expect(toHex(keccak256(bytes))).toBe(viemKeccak256(bytes))
    }),
  )
})

test('without the digest it says what to install', async () => {
  vi.doMock('node:crypto', () => ({
    hash() {
      throw new Error('Digest method keccak-256 is not supported')
    },
  }))
  vi.resetModules()
  const without = await import('../../src/x402/keccak.ts')
  const call = () => without.keccak256(new Uint8Array(1))
  expect(call).toThrow(without.KeccakMissingError)
  expect(call).toThrow(/OpenSSL \d/)
  expect(new KeccakMissingError(null).fix).toContain('nodejs.org')
})
