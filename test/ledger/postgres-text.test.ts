import fc from 'fast-check'
import { expect, it } from 'vitest'
import { originalText, storableText } from '../../src/ledger/postgres-text.ts'

const anyText = fc.string({
  unit: fc.oneof(fc.constantFrom('\u0000', '\uE000', '0', '1'), fc.string({ unit: 'binary' })),
})

it('gives back any text, and never asks PostgreSQL for what it cannot hold', () => {
  fc.assert(
    fc.property(anyText, text => {
      const stored = storableText(text)
      expect(stored).not.toContain('\u0000')
      expect(originalText(stored)).toBe(text)
    }),
  )
})

it('leaves ordinary text as it is', () => {
  expect(storableText('{"x402Version":2,"é":"\\u0000"}')).toBe('{"x402Version":2,"é":"\\u0000"}')
})
