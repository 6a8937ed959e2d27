import {
  appendPaymentIdentifierToExtensions,
  declarePaymentIdentifierExtension,
  extractPaymentIdentifier,
  generatePaymentId,
  validatePaymentIdentifier,
} from '@x402/extensions/payment-identifier'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  declareIdentifier,
  PAYMENT_IDENTIFIER,
  readIdentifier,
  withoutIdentifier,
} from '../../src/x402/payment-identifier.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, decodeHeaders, signV2, toHeader } from './payments.ts'

const read = (extension: unknown) => readIdentifier({ [PAYMENT_IDENTIFIER]: extension })

describe('the declaration', () => {
  test.each([true, false])('is the official one (required: %s)', required => {
    expect(declareIdentifier(required)).toEqual({
      [PAYMENT_IDENTIFIER]: declarePaymentIdentifierExtension(required),
    })
  })

  test('takes what the official client adds to it', () => {
    const extensions = structuredClone(declareIdentifier(true))
    const id = generatePaymentId()
    appendPaymentIdentifierToExtensions(extensions, id)
    expect(validatePaymentIdentifier(extensions[PAYMENT_IDENTIFIER])).toEqual({ valid: true })
    expect(readIdentifier(extensions)).toEqual({ kind: 'identifier', id })
  })

  test('costs a challenge less than half a kilobyte', () => {
    expect(JSON.stringify(declareIdentifier(false)).length * (4 / 3)).toBeLessThan(512)
  })
})

describe('an identifier', () => {
  test.each(['a'.repeat(16), 'Z9_-'.repeat(32)])('%s is read from info alone', id => {
    expect(read({ info: { id } })).toEqual({ kind: 'identifier', id })
  })

  test.each([
    ...['a'.repeat(15), 'a'.repeat(129), `${'a'.repeat(16)}\n`, 'ä'.repeat(16), '', ' '.repeat(16)],
    ...[null, 7, true, {}, ['a'.repeat(16)]],
  ])('%j is malformed', id => {
    expect(read({ info: { id } })).toEqual({ kind: 'malformed' })
  })

  test.each([
    null,
    7,
    'a'.repeat(16),
    [],
    {},
    { info: null },
    { info: 'x' },
    { id: 'a'.repeat(16) },
  ])('the extension %j is malformed', extension => {
    expect(read(extension)).toEqual({ kind: 'malformed' })
  })

  test('is not there where nothing was sent, or the declaration alone', () => {
    expect(readIdentifier(undefined)).toEqual({ kind: 'none' })
    expect(readIdentifier({ other: {} })).toEqual({ kind: 'none' })
    expect(readIdentifier(declareIdentifier(false))).toEqual({ kind: 'none' })
  })

  test('is not passed on, and everything else is', () => {
    expect(withoutIdentifier({ ...declareIdentifier(false), other: 1 })).toEqual({ other: 1 })
    expect(withoutIdentifier(declareIdentifier(false))).toBeUndefined()
    expect(withoutIdentifier({ other: 1 })).toEqual({ other: 1 })
    expect(withoutIdentifier(undefined)).toBeUndefined()
  })
})

test('whatever the extension holds, a payment is read as the official reader does, or refused', async () => {
  const signed = await signV2(buyer, createOffer())
  const id = fc.oneof(
    fc.jsonValue(),
    fc.string({ minLength: 14, maxLength: 130, unit: 'binary' }),
    fc.stringMatching(/^[a-zA-Z0-9_-]{14,130}$/),
  )
  const extension = fc.oneof(
    fc.jsonValue(),
    fc.record({ info: fc.record({ id, required: fc.boolean() }, { requiredKeys: [] }) }),
  )
  await fc.assert(
    fc.property(extension, one => {
      const document = { ...signed, extensions: { [PAYMENT_IDENTIFIER]: one, other: 1 } }
      const decoded = decodeHeaders(['payment-signature', toHeader(document)])
      const official = extractPaymentIdentifier(document as never)
      if (decoded.kind !== 'payment') {
        expect(decoded).toMatchObject({ kind: 'malformed' })
        expect(official).toBeNull()
      } else {
        expect(decoded.presented.identifier).toBe(official)
        expect(decoded.presented.extensions).toEqual({ other: 1 })
      }
    }),
    { numRuns: 2_000 },
  )
})
