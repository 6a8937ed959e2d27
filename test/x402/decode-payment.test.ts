import { expect, test } from 'vitest'
import { buyer } from '../support/accounts.ts'
import { createOffer, decodeHeaders, type SignedV2, signV2, toHeader } from './payments.ts'

const signed = await signV2(buyer, createOffer())
const v1 = {
  x402Version: 1,
  scheme: 'exact',
  network: 'base-sepolia',
  payload: signed.payload,
}
const changed = (change: Partial<SignedV2>) => toHeader({ ...signed, ...change })
const accepting = (change: Record<string, unknown>) =>
  changed({ accepted: { ...signed.accepted, ...change } })

test('no header is no payment', () => {
  expect(decodeHeaders()).toEqual({ kind: 'absent' })
  expect(decodeHeaders(['authorization', 'x'])).toEqual({ kind: 'absent' })
})

test('a v2 payload is read in either header, as some agents send it in the old one', () => {
  const expected = {
    kind: 'payment',
    version: 2,
    presented: {
      scheme: 'exact',
      network: 'eip155:84532',
      accepted: signed.accepted,
      payload: signed.payload,
    },
  }
  expect(decodeHeaders(['payment-signature', toHeader(signed)])).toMatchObject(expected)
  expect(decodeHeaders(['x-payment', toHeader(signed)])).toMatchObject(expected)
})

test('a v1 payload is read in the v1 header only', () => {
  expect(decodeHeaders(['x-payment', toHeader(v1)])).toMatchObject({
    kind: 'payment',
    version: 1,
    presented: { scheme: 'exact', network: 'base-sepolia', accepted: null },
  })
  expect(decodeHeaders(['payment-signature', toHeader(v1)])).toEqual({
    kind: 'malformed',
    reason: 'v1-payload-in-v2-header',
  })
})

test.each([
  ['the same header twice', ['x-payment', 'x-payment']],
  ['the new header twice', ['payment-signature', 'payment-signature']],
  ['both headers', ['x-payment', 'payment-signature']],
])('%s is refused, even with the same value', (_, names) => {
  const header = toHeader(signed)
  const headers = names.map((name): [string, string] => [name, header])
  expect(decodeHeaders(...headers)).toEqual({ kind: 'malformed', reason: 'two-payment-headers' })
})

test('two values that a proxy joined with a comma are refused', () => {
  const header = toHeader(signed)
  expect(decodeHeaders(['x-payment', `${header}, ${header}`])).toEqual({
    kind: 'malformed',
    reason: 'not-base64',
  })
})

test.each([
  ['an empty header', '', 'not-base64'],
  ['JSON that is not encoded', JSON.stringify(v1), 'not-base64'],
  ['no JSON inside', Buffer.from('payment').toString('base64'), 'not-json'],
  [
    'a member twice',
    Buffer.from('{"x402Version":2,"x402Version":1}').toString('base64'),
    'duplicate-key',
  ],
  [
    'nesting too deep',
    changed({ payload: JSON.parse(`${'{"a":'.repeat(12)}1${'}'.repeat(12)}`) }),
    'too-deep',
  ],
  ['null', toHeader(null), 'unknown-version'],
  ['an array', toHeader([signed]), 'unknown-version'],
  ['a string', toHeader('x402Version'), 'unknown-version'],
  ['no version', toHeader({ ...signed, x402Version: undefined }), 'unknown-version'],
  ['version 0', changed({ x402Version: 0 }), 'unknown-version'],
  ['version 3', changed({ x402Version: 3 }), 'unknown-version'],
  ['the version as text', toHeader({ ...signed, x402Version: '2' }), 'unknown-version'],
  ['two versions at once', toHeader({ ...v1, ...signed, x402Version: [1, 2] }), 'unknown-version'],
])('%s is malformed', (_, header, reason) => {
  expect(decodeHeaders(['x-payment', header])).toEqual({ kind: 'malformed', reason })
})

test.each([
  ['no accepted', changed({ accepted: undefined as never })], // on purpose
  ['accepted as a list', changed({ accepted: [signed.accepted] as never })], // on purpose
  ['no payload', changed({ payload: undefined as never })], // on purpose
  ['payload as text', changed({ payload: '{}' as never })], // on purpose
  ['an amount as a number', accepting({ amount: 1000 })],
  ['an amount with a leading zero', accepting({ amount: '01000' })],
  ['a negative amount', accepting({ amount: '-1000' })],
  ['an amount with an exponent', accepting({ amount: '1e3' })],
  ['an amount in words', accepting({ amount: 'free' })],
  ['an amount in hexadecimal', accepting({ amount: '0x3e8' })],
  ['a fraction', accepting({ amount: '1000.0' })],
  ['an empty amount', accepting({ amount: '' })],
  ['an amount of 2^256', accepting({ amount: (2n ** 256n).toString() })],
  ['an amount of a thousand digits', accepting({ amount: '9'.repeat(1000) })],
  ['a network without a colon', accepting({ network: 'base-sepolia' })],
  ['a network as a number', accepting({ network: 84532 })],
  ['a time-out as text', accepting({ maxTimeoutSeconds: '60' })],
  ['a time-out of zero', accepting({ maxTimeoutSeconds: 0 })],
  ['an endless scheme', accepting({ scheme: 'x'.repeat(257) })],
  ['extra as a list', accepting({ extra: [] })],
])('%s is the wrong shape', (_, header) => {
  expect(decodeHeaders(['payment-signature', header])).toEqual({
    kind: 'malformed',
    reason: 'wrong-shape',
  })
})

test('2^256 - 1 is still an amount', () => {
  const amount = (2n ** 256n - 1n).toString()
  expect(decodeHeaders(['x-payment', accepting({ amount })]).kind).toBe('payment')
})

test.each([
  ['extra', accepting({ extra: null })],
  ['resource and extensions', toHeader({ ...signed, resource: null, extensions: null })],
])('%s may be null', (_, header) => {
  expect(decodeHeaders(['x-payment', header]).kind).toBe('payment')
})

test('unknown members are dropped', () => {
  const decoded = decodeHeaders([
    'x-payment',
    toHeader({ ...signed, admin: true, accepted: { ...signed.accepted, discount: '100%' } }),
  ])
  expect(decoded).toMatchObject({ presented: { accepted: signed.accepted } })
  expect(JSON.stringify(decoded)).not.toMatch(/admin|discount/)
})

test('twelve kibibytes are read, one character more is not', () => {
  const sized = (characters: number) => {
    const rest = characters * (3 / 4) - JSON.stringify({ ...v1, pad: '' }).length
    return toHeader({ ...v1, pad: 'x'.repeat(rest) })
  }
  const longest = sized(12 * 1024)
  expect(longest).toHaveLength(12 * 1024)
  expect(decodeHeaders(['x-payment', longest]).kind).toBe('payment')
  const reason = 'header-too-long'
  const longer = sized(12 * 1024 + 4)
  expect(decodeHeaders(['x-payment', longer])).toEqual({ kind: 'malformed', reason })
  expect(decodeHeaders(['x-payment', 'A'.repeat(64 * 1024 * 1024)])).toEqual({
    kind: 'malformed',
    reason,
  })
})
