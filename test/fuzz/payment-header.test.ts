import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkLocally } from '../../src/x402/local-checks.ts'
import { buyer } from '../support/accounts.ts'
import {
  createOffer,
  createPermit2Offer,
  decodeHeaders,
  signV2,
  toHeader,
} from '../x402/payments.ts'

const offers = [createOffer(), createPermit2Offer({ amount: '2000' })]
const valid = await Promise.all(offers.map(offer => signV2(buyer, offer)))
const v1 = valid.map(({ payload }) => ({
  x402Version: 1,
  scheme: 'exact',
  network: 'base-sepolia',
  payload,
}))
const documents = [...valid, ...v1].map(document => JSON.stringify(document))
const nowSeconds = Math.floor(Date.now() / 1000)
const circumstances = { nowSeconds, headroomSeconds: 10, resourceUrl: 'https://x.test/' }

/** Values that readers of numbers, names and addresses have tripped over. */
const awkward = fc.constantFrom<unknown>(
  ...[null, true, 0, -1, 1e21, [], {}, '', '0', '-1', '1e3', 'abc', '0x', '0x0', 'NaN', '\u0000'],
  ...['01', '1.0', ' 1', '9'.repeat(100), (2n ** 256n).toString(), `0x${'g'.repeat(64)}`],
  ...['__proto__', 'eip155:', ':', 'eip155:84532\u0000', `0x${'f'.repeat(130)}`],
)

/** Puts a value somewhere into a document, or takes a member away. */
function changeMember(document: unknown, path: number, value: unknown): unknown {
  if (typeof document !== 'object' || document === null) return value
  const entries = Object.entries(document)
  const chosen = path % (entries.length + 1)
  const [name] = entries[chosen] ?? []
  if (name === undefined) return value
  const deeper = Math.floor(path / (entries.length + 1))
  if (value === undefined) return Object.fromEntries(entries.filter(([key]) => key !== name))
  const changed = changeMember(entries[chosen]?.[1], deeper, value)
  return { ...document, [name]: changed }
}

const changedMember = fc
  .tuple(fc.constantFrom(...documents), fc.nat(), fc.oneof(awkward, fc.jsonValue()))
  .map(([document, path, value]) => toHeader(changeMember(JSON.parse(document), path, value)))

const changedText = fc
  .tuple(fc.constantFrom(...documents), fc.nat(), fc.nat(40), fc.string({ unit: 'binary' }))
  .map(([document, at, length, inserted]) => {
    const start = at % document.length
    return document.slice(0, start) + inserted + document.slice(start + length)
  })
  .map(text => Buffer.from(text).toString('base64'))

const changedBytes = fc
  .tuple(fc.constantFrom(...documents), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
  .map(([document, changes]) => {
    const bytes = Buffer.from(document)
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte
    return bytes.toString('base64')
  })

const changedHeader = fc
  .tuple(fc.constantFrom(...documents), fc.nat(), fc.string({ unit: 'binary', maxLength: 4 }))
  .map(([document, at, inserted]) => {
    const header = Buffer.from(document).toString('base64')
    const start = at % header.length
    return header.slice(0, start) + inserted + header.slice(start + 1)
  })

const header = fc.oneof(
  changedMember,
  changedText,
  changedBytes,
  changedHeader,
  fc.string({ unit: 'binary' }),
)

test('whatever the header holds, it is a payment or malformed, and never an exception', () => {
  const seen = { payment: 0, malformed: 0, absent: 0 }
  fc.assert(
    fc.property(fc.constantFrom('x-payment', 'payment-signature'), header, (name, value) => {
      const decoded = decodeHeaders([name, value])
      seen[decoded.kind] += 1
      if (decoded.kind !== 'payment') return
      const check = checkLocally(decoded.presented, offers, circumstances)
      expect(['passed', 'stale', 'refused']).toContain(check.kind)
    }),
    { numRuns: 10_000 },
  )
  // Mutations that all die in base64 would prove nothing.
  expect(seen.payment).toBeGreaterThan(500)
  expect(seen.malformed).toBeGreaterThan(2_000)
  expect(seen.absent).toBe(0)
})

test('no change of a payment passes as that payer paying something else', () => {
  fc.assert(
    fc.property(header, value => {
      const decoded = decodeHeaders(['x-payment', value])
      if (decoded.kind !== 'payment') return
      const check = checkLocally(decoded.presented, offers, circumstances)
      if (check.kind !== 'passed' || check.payment.signature !== 'recovered') return
      const { payment } = check
      expect(payment.payer).toBe(buyer.address)
      expect(valid.map(({ payload }) => payload)).toContainEqual(payment.payload.payload)
    }),
    { numRuns: 3_000 },
  )
})
