import type { PaymentPayload, PaymentRequirements } from '../../../src/core/payment.ts'

/** What `/verify` and `/settle` are sent, in version 2. */
export const settleBodyV2 = (
  paymentPayload: PaymentPayload,
  paymentRequirements: PaymentRequirements,
) => ({ x402Version: 2, paymentPayload, paymentRequirements })

/** The same payment as a version 1 client sends it, on Base Sepolia. */
export function settleBodyV1({ payload }: PaymentPayload, requirements: PaymentRequirements) {
  const { amount, ...rest } = requirements
  const network = 'base-sepolia'
  const said = { resource: 'https://a.example/b', description: '', mimeType: '' }
  return {
    x402Version: 1,
    paymentPayload: { x402Version: 1, scheme: 'exact', network, payload },
    paymentRequirements: { ...rest, ...said, network, maxAmountRequired: amount },
  }
}
