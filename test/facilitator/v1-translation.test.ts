import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PaymentPayloadSchema, PaymentRequirementsSchema } from 'x402/types'
import { requestV1, requestV2 } from '../../src/facilitator/v1-translation.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, pay } from '../x402/payments.ts'

const payment = await pay(buyer, createOffer())

interface BodyV1 {
  readonly x402Version: number
  readonly paymentPayload: Record<string, unknown>
  readonly paymentRequirements: Record<string, unknown>
}

const translate = (...request: Parameters<typeof requestV1>) => requestV1(...request) as BodyV1 // read below

const anyResource = fc.record(
  {
    url: fc.webUrl({ withQueryParameters: true }),
    description: fc.string({ unit: 'binary' }),
    mimeType: fc.string(),
  },
  { requiredKeys: ['url'] },
)

test('whatever the route says of itself, the last v1 schema takes what is sent on', () => {
  const amount = fc.bigInt(0n, 2n ** 256n - 1n).map(String)
  const extra = fc.dictionary(fc.string(), fc.jsonValue())
  fc.assert(
    fc.property(anyResource, amount, fc.nat(86_400), extra, (...parts) => {
      const [resource, amount, maxTimeoutSeconds, extra] = parts
      const { requirements } = createOffer({ amount, maxTimeoutSeconds, extra })
      const payload = { ...payment.payload, resource, accepted: requirements }
      const body = translate(payload, requirements, 'base-sepolia')
      expect(body.x402Version).toBe(1)
      PaymentRequirementsSchema.parse(body.paymentRequirements)
      PaymentPayloadSchema.parse(body.paymentPayload)
    }),
  )
})

test('nothing that is paid changes on the way: amount, token, receiver, time, signature', () => {
  const { requirements } = payment.offer
  const { paymentPayload, paymentRequirements } = translate(
    payment.payload,
    requirements,
    'base-sepolia',
  )
  expect(paymentPayload).toEqual({
    x402Version: 1,
    scheme: 'exact',
    network: 'base-sepolia',
    payload: payment.payload.payload,
  })
  expect(paymentRequirements).toMatchObject({
    scheme: 'exact',
    network: 'base-sepolia',
    maxAmountRequired: requirements.amount,
    payTo: requirements.payTo,
    asset: requirements.asset,
    maxTimeoutSeconds: requirements.maxTimeoutSeconds,
    extra: requirements.extra,
  })
})

test('a resource that is told is handed on', () => {
  const resource = {
    url: 'https://api.example.com/a?b=c',
    description: 'Weather',
    mimeType: 'application/json',
  }
  const { requirements } = payment.offer
  const { paymentRequirements } = translate({ ...payment.payload, resource }, requirements, 'base')
  expect(paymentRequirements).toMatchObject({
    resource: resource.url,
    description: resource.description,
    mimeType: resource.mimeType,
  })
})

test('to a v2 service the objects go as they are', () => {
  const { payload, offer } = payment
  expect(requestV2(payload, offer.requirements)).toEqual({
    x402Version: 2,
    paymentPayload: payload,
    paymentRequirements: offer.requirements,
  })
})
