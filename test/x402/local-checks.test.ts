import { getAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, test } from 'vitest'
import { atomicAmount } from '../../src/core/amount.ts'
import type { Offer, Payment } from '../../src/core/payment.ts'
import { buyer, publicTestKey, seller } from '../support/accounts.ts'
import {
  check,
  createOffer,
  createPermit2Offer,
  OTHER_TOKEN,
  type SignedV2,
  signV2,
} from './payments.ts'

const offer = createOffer()
const signed = await signV2(buyer, offer)
const stranger = privateKeyToAccount(publicTestKey('stranger')).address

/** The authorization with some members replaced; the signature is the old one. */
function authorize(change: Record<string, unknown>, given: SignedV2 = signed): SignedV2 {
  const changed = structuredClone(given)
  Object.assign(Object(changed.payload['authorization']), change)
  return changed
}

const accept = (change: Record<string, unknown>): SignedV2 => ({
  ...signed,
  accepted: { ...signed.accepted, ...change },
})

function inV1({ payload }: SignedV2, network = 'base-sepolia') {
  return { x402Version: 1, scheme: 'exact', network, payload }
}

function passed(payload: unknown, offers: readonly Offer[] = [offer]): Payment {
  const checked = check(payload, offers)
  if (checked.kind !== 'passed') throw new Error(`Refused: ${checked.reason}`)
  return checked.payment
}

test('a payment of the official client passes and names its payer', () => {
  expect(passed(signed)).toMatchObject({
    payer: buyer.address,
    signature: 'recovered',
    offer,
    payload: { x402Version: 2, accepted: offer.requirements, payload: signed.payload },
  })
  expect(passed(inV1(signed)).key).toBe(passed(signed).key)
})

test.each([
  ['another network', accept({ network: 'eip155:1' }), 'invalid_network'],
  ['a v1 name that v2 does not use', inV1(signed, 'eip155:84532'), 'invalid_network'],
  ['another v1 network', inV1(signed, 'base'), 'invalid_network'],
  ['another scheme', accept({ scheme: 'upto' }), 'unsupported_scheme'],
  ['another v1 scheme', { ...inV1(signed), scheme: 'upto' }, 'unsupported_scheme'],
  ['a lower price', accept({ amount: '999' }), 'invalid_payment_requirements'],
  ['a higher price', accept({ amount: '1001' }), 'invalid_payment_requirements'],
  ['another token', accept({ asset: OTHER_TOKEN }), 'invalid_payment_requirements'],
  ['another receiver', accept({ payTo: stranger }), 'invalid_payment_requirements'],
  ['no payload', { ...signed, payload: {} }, 'invalid_payload'],
  ['a Solana payload', { ...signed, payload: { transaction: 'AA==' } }, 'invalid_payload'],
  ['a nonce of 31 bytes', authorize({ nonce: `0x${'1'.repeat(62)}` }), 'invalid_payload'],
  ['a value as a number', authorize({ value: 1000 }), 'invalid_payload'],
  ['a value in words', authorize({ value: 'all' }), 'invalid_payload'],
  ['a value with a leading zero', authorize({ value: '01000' }), 'invalid_payload'],
  ['a value of 2^256', authorize({ value: (2n ** 256n).toString() }), 'invalid_payload'],
  ['an expiry with an exponent', authorize({ validBefore: '9e9' }), 'invalid_payload'],
  ['a payer that is no address', authorize({ from: '0x1' }), 'invalid_payload'],
  [
    'a signature of no bytes',
    { ...signed, payload: { ...signed.payload, signature: '0x' } },
    'invalid_payload',
  ],
  [
    'money for somebody else',
    authorize({ to: stranger }),
    'invalid_exact_evm_payload_recipient_mismatch',
  ],
  [
    'one unit too little',
    authorize({ value: '999' }),
    'invalid_exact_evm_payload_authorization_value',
  ],
  [
    'one unit too much',
    authorize({ value: '1001' }),
    'invalid_exact_evm_payload_authorization_value',
  ],
  ['nothing', authorize({ value: '0' }), 'invalid_exact_evm_payload_authorization_value'],
  [
    'a start in the future',
    authorize({ validAfter: '9999999999' }),
    'invalid_exact_evm_payload_authorization_valid_after',
  ],
  [
    'an end in the past',
    authorize({ validBefore: '1' }),
    'invalid_exact_evm_payload_authorization_valid_before',
  ],
])('%s is refused', (_, payload, reason) => {
  expect(check(payload, [offer])).toMatchObject({ reason })
})

test.each([
  ['that has ended', authorize({ validBefore: '1' }), [offer]],
  ['at a price of yesterday', signed, [{ ...offer, amount: atomicAmount(7n) }]],
  ['for an offer that is gone', signed, []],
])('a refused payment %s can still be looked up in the ledger', (_, payload, offers) => {
  expect(check(payload, offers)).toMatchObject({
    kind: 'stale',
    payment: { key: passed(signed).key, payer: buyer.address },
  })
})

test.each([
  ['no known payload', { ...signed, payload: {} }],
  ['a network that is no chain id', accept({ network: 'eip155:x' })],
  ['an asset that is no address', accept({ asset: 'USDC' })],
])('a refused payment with %s has nothing to look up', (_, payload) => {
  expect(check(payload, [])).toMatchObject({ kind: 'refused' })
})

test.each([
  ['an object that cannot be text', { name: { toString: 1 }, version: { valueOf: [] } }],
  ['no name', {}],
  ['lists', { name: [], version: [['2']] }],
])('a token name that is %s, in an offer that is not ours, breaks nothing', (_, extra) => {
  const other = accept({ asset: OTHER_TOKEN, extra })
  expect(check(other, [offer])).toMatchObject({
    kind: 'stale',
    reason: 'invalid_payment_requirements',
    payment: { signature: 'not-recovered' },
  })
})

test.each([
  ['another amount', accept({ amount: '1000000' })],
  ['another receiver', accept({ payTo: stranger })],
])('a refused payment that says %s than it signed has nothing to look up', (_, payload) => {
  expect(check(payload, [])).toMatchObject({ kind: 'refused' })
})

test('without an offer there is nothing to pay', () => {
  expect(check(signed, [])).toMatchObject({ reason: 'invalid_network' })
})

describe('Permit2', async () => {
  const permitOffer = createPermit2Offer()
  const permit = await signV2(buyer, permitOffer)
  const permitWith = (change: (authorization: Record<string, never>) => void): SignedV2 => {
    const changed = structuredClone(permit)
    change(Object(changed.payload['permit2Authorization']))
    return changed
  }

  test('passes, keyed by payer and nonce', () => {
    expect(passed(permit, [permitOffer])).toMatchObject({ signature: 'recovered' })
    expect(passed(permit, [permitOffer]).key).toMatch(
      /^eip155:84532\/permit2\/0x[0-9a-f]{40}\/\d+$/,
    )
  })

  test.each([
    [
      'another token',
      { permitted: { token: OTHER_TOKEN, amount: '1000' } },
      'invalid_payment_requirements',
    ],
    [
      'another amount',
      { permitted: { token: offer.requirements.asset, amount: '999' } },
      'invalid_exact_evm_payload_authorization_value',
    ],
    [
      'another receiver',
      { witness: { to: stranger, validAfter: '0' } },
      'invalid_exact_evm_payload_recipient_mismatch',
    ],
    [
      'an end in the past',
      { deadline: '1' },
      'invalid_exact_evm_payload_authorization_valid_before',
    ],
    ['another spender', { spender: stranger }, 'invalid_payload'],
  ])('%s is refused', (_, change, reason) => {
    const changed = permitWith(authorization => Object.assign(authorization, change))
    expect(check(changed, [permitOffer])).toMatchObject({ reason })
  })
})

describe('time', () => {
  const now = 1_800_000_000
  const at = (validAfter: number, validBefore: number, headroomSeconds: number) =>
    check(
      authorize({ validAfter: String(validAfter), validBefore: String(validBefore) }),
      [offer],
      {
        nowSeconds: now,
        headroomSeconds,
      },
    )

  test('must last exactly as long as the work may take, not a second less', () => {
    expect(at(0, now + 36, 36).kind).toBe('passed')
    expect(at(0, now + 35, 36)).toMatchObject({
      reason: 'invalid_exact_evm_payload_authorization_valid_before',
    })
  })

  test('may begin now, not a second later', () => {
    expect(at(now, now + 60, 6).kind).toBe('passed')
    expect(at(now + 1, now + 60, 6)).toMatchObject({
      reason: 'invalid_exact_evm_payload_authorization_valid_after',
    })
  })

  test('an end beyond what a number counts is year 9999', () => {
    const endless = authorize({ validBefore: (2n ** 256n - 1n).toString() })
    expect(passed(endless).validBefore).toBe(253_402_300_799)
    expect(passed(authorize({ validBefore: '253402300798' })).validBefore).toBe(253_402_300_798)
  })
})

describe('one payment has one key and one form, however it is spelled', () => {
  const { authorization } = signed.payload as { authorization: Record<string, string> } // as signed
  const signature = String(signed.payload['signature'])
  const upper = (hex = '') => `0x${hex.slice(2).toUpperCase()}`
  const reference = passed(signed)

  test.each([
    ['a payer in lower case', authorize({ from: buyer.address.toLowerCase() })],
    ['a payer in upper case', authorize({ from: upper(buyer.address) })],
    ['a receiver in lower case', authorize({ to: seller.address.toLowerCase() })],
    ['a nonce in upper case', authorize({ nonce: upper(authorization['nonce']) })],
    [
      'a signature in upper case',
      { ...signed, payload: { ...signed.payload, signature: upper(signature) } },
    ],
    ['an accepted token in lower case', accept({ asset: offer.requirements.asset.toLowerCase() })],
    ['an accepted receiver in lower case', accept({ payTo: seller.address.toLowerCase() })],
    ['a member that nobody knows', authorize({ memo: 'once more' })],
  ])('%s', (_, payload) => {
    const payment = passed(payload)
    expect(payment.key).toBe(reference.key)
    expect(payment.payload).toEqual(reference.payload)
    expect(payment).toMatchObject({ payer: buyer.address, signature: 'recovered' })
  })

  test('another nonce, payer, token or network is another key', async () => {
    const otherToken = createOffer({ asset: OTHER_TOKEN })
    const otherNetwork = createOffer({ network: 'eip155:8453', v1Network: 'base' })
    const keys = [
      reference.key,
      passed(authorize({ nonce: `0x${'0'.repeat(64)}` })).key,
      passed(authorize({ from: stranger })).key,
      passed({ ...signed, accepted: { ...otherToken.requirements } }, [otherToken]).key,
      passed({ ...signed, accepted: { ...otherNetwork.requirements } }, [otherNetwork]).key,
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('whatever the client accepted, the requirements that go on are ours', () => {
    const payment = passed(
      accept({ maxTimeoutSeconds: 1e9, extra: { name: 'Mine', version: '9' } }),
    )
    expect(payment.payload.accepted).toBe(offer.requirements)
  })

  test('addresses are sent on with their checksums', () => {
    const lower = authorize({ from: buyer.address.toLowerCase(), to: seller.address.toLowerCase() })
    expect(passed(lower).payload.payload['authorization']).toMatchObject({
      from: getAddress(buyer.address),
      to: getAddress(seller.address),
    })
  })
})

describe('a signature that we cannot recover', () => {
  test('passes on, marked, because a smart wallet may have made it', () => {
    expect(passed(authorize({ from: stranger }))).toMatchObject({
      payer: stranger,
      signature: 'not-recovered',
    })
  })

  test.each([
    ['another nonce', { nonce: `0x${'2'.repeat(64)}` }],
    ['another end', { validBefore: '9999999999' }],
    ['another start', { validAfter: '7' }],
  ])('never covers %s than was signed', (_, change) => {
    expect(passed(authorize(change)).signature).toBe('not-recovered')
  })
})

describe('version 1 does not name the token', () => {
  const euro = createOffer({ asset: OTHER_TOKEN, extra: { name: 'EURC', version: '2' } })

  test.each([
    ['first', [euro, offer]],
    ['last', [offer, euro]],
  ])('so the signature tells which of two, with the right one %s', async (_, offers) => {
    for (const meant of offers) {
      const payment = passed(inV1(await signV2(buyer, meant)), offers)
      expect(payment).toMatchObject({ offer: meant, signature: 'recovered' })
      expect(payment.key).toContain(meant.requirements.asset.toLowerCase())
    }
  })

  test('two prices tell by themselves', async () => {
    const dearer = createOffer({ asset: OTHER_TOKEN, amount: '2000' })
    const payment = passed(inV1(await signV2(buyer, dearer)), [offer, dearer])
    expect(payment.offer).toBe(dearer)
  })

  test('an offer by Permit2 beside one by EIP-3009 is found by the payload', async () => {
    const permitOffer = createPermit2Offer({ asset: OTHER_TOKEN })
    const offers = [offer, permitOffer]
    expect(passed(inV1(await signV2(buyer, permitOffer)), offers).offer).toBe(permitOffer)
    expect(passed(inV1(signed), offers).offer).toBe(offer)
  })

  test.each([
    ['first', [euro, offer]],
    ['last', [offer, euro]],
    ['behind one that is paid in another way', [createPermit2Offer(), offer, euro]],
  ])('so it also tells which payment to look up when it is too late, %s', async (_, offers) => {
    for (const meant of [offer, euro]) {
      const paid = await signV2(buyer, meant)
      const late = check(inV1(paid), offers, { headroomSeconds: 1e6 })
      expect(late).toMatchObject({
        kind: 'stale',
        reason: 'invalid_exact_evm_payload_authorization_valid_before',
        payment: { key: passed(paid, [meant]).key, signature: 'recovered' },
      })
    }
  })

  test('a recovered signature outweighs a price that fits another token', async () => {
    const yesterday = createOffer({
      asset: OTHER_TOKEN,
      amount: '1000',
      extra: euro.requirements.extra,
    })
    const today = createOffer({
      asset: OTHER_TOKEN,
      amount: '2000',
      extra: euro.requirements.extra,
    })
    const paid = await signV2(buyer, yesterday)
    expect(check(inV1(paid), [offer, today])).toMatchObject({
      kind: 'stale',
      reason: 'invalid_exact_evm_payload_authorization_value',
      payment: { key: passed(paid, [yesterday]).key },
    })
  })

  test('an offer without a v1 name cannot be paid in v1', () => {
    const unnamed = createOffer({ v1Network: null })
    expect(check(inV1(signed), [unnamed])).toMatchObject({ reason: 'invalid_network' })
    expect(check(signed, [unnamed]).kind).toBe('passed')
  })
})
