import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCoinbaseKey } from '../../../src/facilitator/auth/coinbase.ts'
import { readPayaiKey } from '../../../src/facilitator/auth/payai.ts'
import { coinbaseEd25519Key, coinbaseP256Key, payaiKey } from '../api-keys.ts'

const secrets = [
  coinbaseEd25519Key().keySecret,
  coinbaseP256Key().keySecret,
  coinbaseP256Key('sec1').keySecret,
  payaiKey().keySecret,
]

/** A secret with something cut out, put in or written over. */
const damaged = fc
  .record({
    secret: fc.constantFrom(...secrets),
    from: fc.nat(240),
    length: fc.nat(80),
    inserted: fc.string({ maxLength: 20, unit: 'grapheme' }),
  })
  .map(({ secret, from, length, inserted }) => {
    return secret.slice(0, from) + inserted + secret.slice(from + length)
  })

const bytes = fc.uint8Array({ maxLength: 200 }).map(one => Buffer.from(one).toString('base64'))
const text = fc.oneof(damaged, bytes, fc.string({ unit: 'binary' }), fc.constantFrom(...secrets))

describe.each([
  ['Coinbase', readCoinbaseKey],
  ['PayAI', readPayaiKey],
])('a secret for %s', (_, read) => {
  test('is a key or refused, whatever it is, and is never repeated', () => {
    fc.assert(
      fc.property(text, secret => {
        const result = read(secret)
        if (result.kind === 'key') return
        expect(Object.keys(result).sort()).toEqual(['cure', 'kind', 'message'])
        const said = `${result.message}${result.cure}`
        for (let at = 0; at + 24 <= secret.length; at++) {
          expect(said).not.toContain(secret.slice(at, at + 24))
        }
      }),
      { numRuns: 500 },
    )
  })
})
