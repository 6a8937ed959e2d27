import type { NetworkId, PaymentPayload, PaymentRequirements } from '../core/payment.ts'

/** What facilitators call networks in x402 v1. */
export interface V1Networks {
  /** Its CAIP-2 id, by its name or an alias; null for a name that is not known. */
  networkOf(name: string): NetworkId | null
}

/** The body of `/verify` and `/settle` for a service that speaks x402 v2. */
export function requestV2(payload: PaymentPayload, requirements: PaymentRequirements): unknown {
  return { x402Version: 2, paymentPayload: payload, paymentRequirements: requirements }
}

/** The same for payments from Circle's GatewayWallet (@circle-fin/x402-batching 3.3.0). */
export function requestWithoutVersion(
  paymentPayload: PaymentPayload,
  paymentRequirements: PaymentRequirements,
): unknown {
  return { paymentPayload, paymentRequirements }
}

/**
 * The same payment for a service that speaks x402 v1 only. The inner payload of scheme `exact` is
 * the same in both, so the payer's signature holds.
 */
export function requestV1(
  payload: PaymentPayload,
  requirements: PaymentRequirements,
  v1Network: string,
): unknown {
  const { scheme, amount, payTo, maxTimeoutSeconds, asset, extra } = requirements
  const { url, description = '', mimeType = '' } = payload.resource
  return {
    x402Version: 1,
    paymentPayload: { x402Version: 1, scheme, network: v1Network, payload: payload.payload },
    paymentRequirements: {
      scheme,
      network: v1Network,
      maxAmountRequired: amount,
      resource: url,
      description,
      mimeType,
      payTo,
      maxTimeoutSeconds,
      asset,
      extra,
    },
  }
}
