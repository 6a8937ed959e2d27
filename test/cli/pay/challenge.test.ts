import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeChallenge } from '../../../src/cli/pay/challenge.ts'
import { chooseOffer } from '../../../src/cli/pay/choose-offer.ts'
import { readProblem } from '../../../src/cli/pay/problem.ts'
import { readSettlement } from '../../../src/cli/pay/receipt.ts'
import { loadNetworkRegistry } from '../../../src/networks/registry.ts'
import { base64 } from '../seller.ts'

const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'
const registry = loadNetworkRegistry()

const offer = {
  scheme: 'exact',
  network: 'eip155:84532',
  asset: USDC,
  amount: '1000',
  payTo: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
  maxTimeoutSeconds: 60,
  extra: { name: 'USDC', version: '2' },
}

function decode(accepts: unknown) {
  return decodeChallenge({ header: base64({ x402Version: 2, accepts }), body: '' })
}

/** What would be paid for these offers with a limit of one cent; null when nothing. */
function choose(accepts: unknown, preference: { network?: string; asset?: string } = {}) {
  const decoded = decode(accepts)
  if (decoded.kind === 'malformed') return null
  const chosen = chooseOffer(
    decoded.challenge,
    { limit: { kind: 'dollars', text: '0.01' }, network: null, asset: null, ...preference },
    registry,
  )
  return chosen.kind === 'chosen' ? chosen.offer : null
}

describe('an offer', () => {
  test('is kept exactly as the server wrote it, with members that we do not know', () => {
    const strange = { ...offer, extra: { ...offer.extra, loyalty: { points: [1, 2] } }, note: 'hi' }
    expect(choose([strange])?.written).toEqual(strange)
  })

  test.each([
    ['another scheme', { scheme: 'upto' }],
    ['another kind of network', { network: 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp' }],
    ['a negative amount', { amount: '-1' }],
    ['an amount that is a number', { amount: 1000 }],
    ['an amount in whole tokens', { amount: '0.001' }],
    ['an amount in hexadecimal', { amount: '0x10' }],
    ['a receiver that is no address', { payTo: '0x1234' }],
    ['no time-out', { maxTimeoutSeconds: undefined }],
    ['a way to pay that may cost more than once', { extra: { paymentFlow: 'escrow' } }],
    ['an unknown transfer method', { extra: { assetTransferMethod: 'blank-cheque' } }],
  ])('with %s is not paid, and does not hide one that can be', (_, change) => {
    const bad = { ...offer, ...change }
    expect(choose([bad])).toBeNull()
    expect(choose([bad, offer])?.written).toEqual(offer)
  })

  test('above the limit does not hide a cheaper one', () => {
    const dear = { ...offer, amount: '10001' }
    expect(choose([dear])).toBeNull()
    expect(choose([dear, offer])?.amount).toBe(1000n)
  })

  test('is compared in the token that it names: eighteen decimals are not six', () => {
    const megaUsd = '0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7'
    const onMegaeth = { ...offer, network: 'eip155:4326', asset: megaUsd }
    expect(choose([{ ...onMegaeth, amount: '10000000000000000' }])).not.toBeNull()
    expect(choose([{ ...onMegaeth, amount: '10000000000000001' }])).toBeNull()
  })

  test('in a token that is a dollar elsewhere only is not taken for dollars', () => {
    expect(choose([{ ...offer, network: 'eip155:8453' }])).toBeNull()
  })

  test('is found by any name of its network, and by its token in any case', () => {
    for (const network of ['base-sepolia', 'eip155:84532']) {
      expect(choose([offer], { network })).not.toBeNull()
    }
    expect(choose([offer], { network: 'base' })).toBeNull()
    expect(choose([offer], { asset: USDC.toLowerCase() })).not.toBeNull()
    expect(choose([offer], { asset: offer.payTo })).toBeNull()
  })
})

test('v1 offers are read from the body, by the names that v1 gives networks', () => {
  const { amount, ...rest } = offer
  const v1 = { ...rest, network: 'base-sepolia', maxAmountRequired: amount, description: 'Rain' }
  const body = JSON.stringify({ x402Version: 1, accepts: [v1, { ...v1, network: 'atlantis' }] })
  const decoded = decodeChallenge({ header: null, body })
  expect(decoded).toMatchObject({
    kind: 'challenge',
    challenge: {
      version: 1,
      description: 'Rain',
      offers: [{ networkId: 'eip155:84532', amount: 1000n }],
      unpayable: ['exact on atlantis'],
    },
  })
})

describe('whatever a server sends', () => {
  const anyText = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string().map(text => Buffer.from(text).toString('base64')),
    fc.json().map(text => Buffer.from(text).toString('base64')),
  )

  test('the readers give an answer and do not throw', () => {
    fc.assert(
      fc.property(anyText, anyText, (header, body) => {
        expect(['challenge', 'malformed']).toContain(decodeChallenge({ header, body }).kind)
        expect(['challenge', 'malformed']).toContain(decodeChallenge({ header: null, body }).kind)
        const settlement = readSettlement({ 'payment-response': header })
        if (settlement?.transaction) expect(settlement.transaction).toMatch(/^[\x21-\x7e]+$/)
        readProblem(body)
      }),
      { numRuns: 2000 },
    )
  })

  test('nothing above the limit is ever chosen', () => {
    const member = fc.oneof(fc.jsonValue(), fc.constantFrom(...Object.values(offer)))
    const bent = fc
      .record({
        amount: fc.oneof(fc.bigInt({ min: 0n, max: 30_000n }).map(String), member),
        name: fc.constantFrom('scheme', 'network', 'asset', 'payTo', 'maxTimeoutSeconds', 'none'),
        value: member,
      })
      .map(({ amount, name, value }) => ({ ...offer, amount, [name]: value }))
    let chosen = 0
    fc.assert(
      fc.property(fc.array(bent, { maxLength: 4 }), accepts => {
        const picked = choose(accepts)
        if (picked === null) return
        chosen++
        expect(picked.amount).toBeLessThanOrEqual(10_000n)
        expect(picked.written['amount']).toBe(picked.amount.toString())
      }),
      { numRuns: 1000 },
    )
    expect(chosen).toBeGreaterThan(50)
  })

  test('an offer whose scheme is no text is one that cannot be paid, not a crash', () => {
    expect(choose([{ ...offer, scheme: { toString: 0 } }])).toBeNull()
  })

  test('a text of a hundred thousand brackets is refused without a stack overflow', () => {
    const deep = `{"x402Version":1,"accepts":${'['.repeat(100_000)}`
    expect(decodeChallenge({ header: null, body: deep }).kind).toBe('malformed')
  })
})
