import { ExactEvmScheme } from '@x402/evm'
import { wrapFetchWithPayment, x402Client } from '@x402/fetch'
import { expect, test } from 'vitest'
import { createSigner, wrapFetchWithPayment as wrapFetchWithPaymentV1 } from 'x402-fetch'
import type { Offer } from '../../src/core/payment.ts'
import { createChallenge, NOT_PAID } from '../../src/x402/challenge.ts'
import { decodePayment } from '../../src/x402/decode-payment.ts'
import { checkLocally } from '../../src/x402/local-checks.ts'
import { BUYER_PRIVATE_KEY, buyer } from '../support/accounts.ts'
import { createOffer, createPermit2Offer } from './payments.ts'

/** A seller that answers with our challenge and keeps the headers that come back. */
function seller(offers: readonly Offer[]) {
  const challenge = createChallenge(
    { key: 'GET /', cache: new Map(), identifierRequired: false, gasSponsoring: [] },
    offers,
    {
      description: 'Wetter für Zürich ☀',
    },
  )
  const paid: Headers[] = []
  const fetch = async (
    input: Parameters<typeof globalThis.fetch>[0],
    init?: RequestInit,
  ): Promise<Response> => {
    const { headers } = new Request(input, init)
    if (headers.has('x-payment') || headers.has('payment-signature')) {
      paid.push(headers)
      return new Response('weather')
    }
    const answer = challenge.answer('https://api.example.com/v1/weather/Zürich', NOT_PAID)
    return new Response(new Uint8Array(answer.body), {
      status: 402,
      headers: { 'payment-required': answer.paymentRequired },
    })
  }
  return { fetch, paid }
}

async function payWithV2(offers: readonly Offer[]): Promise<Headers> {
  const { fetch, paid } = seller(offers)
  const client = new x402Client().register('eip155:*', new ExactEvmScheme(buyer))
  await wrapFetchWithPayment(fetch, client)('https://api.example.com/')
  return paid[0] ?? new Headers()
}

async function payWithV1(offers: readonly Offer[]): Promise<Headers> {
  const { fetch, paid } = seller(offers)
  const signer = await createSigner('base-sepolia', BUYER_PRIVATE_KEY)
  await wrapFetchWithPaymentV1(fetch, signer)('https://api.example.com/')
  return paid[0] ?? new Headers()
}

/** What the corridor does with the headers of a request. */
function receive(headers: Headers, offers: readonly Offer[]) {
  const decoded = decodePayment(name => {
    const value = headers.get(name)
    return value === null ? [] : [value]
  })
  if (decoded.kind !== 'payment') return decoded
  const nowSeconds = Math.floor(Date.now() / 1000)
  const resourceUrl = 'https://api.example.com/'
  const circumstances = { nowSeconds, headroomSeconds: 30, resourceUrl }
  const check = checkLocally(decoded.presented, offers, circumstances)
  return { ...decoded, check }
}

const offer = createOffer()

/**
 * A token that the official client knows and pays by Permit2 (@x402/evm 2.27.0, default assets).
 */
const megaUsd = createPermit2Offer({
  network: 'eip155:4326',
  asset: '0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7',
  extra: { name: 'MegaUSD', version: '1', assetTransferMethod: 'permit2' },
})

test.each([
  ['@x402/fetch', 2, payWithV2, offer],
  ['x402-fetch', 1, payWithV1, offer],
  ['@x402/fetch with Permit2', 2, payWithV2, megaUsd],
] as const)('%s answers our challenge with a payment that we recover', async (...row) => {
  const [, version, pay, asked] = row
  const received = receive(await pay([asked]), [asked])
  expect(received).toMatchObject({
    kind: 'payment',
    version,
    check: {
      kind: 'passed',
      payment: { payer: buyer.address, signature: 'recovered', offer: asked },
    },
  })
})

test.each([
  ['v2', payWithV2],
  ['v1', payWithV1],
])('a %s client that was told another token name signs for nobody', async (_, pay) => {
  const renamed = createOffer({ extra: { name: 'Another Dollar', version: '2' } })
  const received = receive(await pay([offer]), [renamed])
  expect(received).toMatchObject({ check: { payment: { signature: 'not-recovered' } } })
})

test('what a client says of the resource does not reach a facilitator', async () => {
  const received = receive(await payWithV2([offer]), [offer])
  expect(received).toMatchObject({
    check: { payment: { payload: { resource: { url: 'https://api.example.com/' } } } },
  })
})

test('a v1 client can pay a route that also takes a network it has never heard of', async () => {
  const unknown = createOffer({ network: 'eip155:143', v1Network: 'monad' })
  const offers = [unknown, createOffer({ network: 'eip155:42161', v1Network: null }), offer]
  const received = receive(await payWithV1(offers), offers)
  expect(received).toMatchObject({ check: { kind: 'passed', payment: { offer } } })
})
