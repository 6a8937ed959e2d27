import { z } from 'zod'

/**
 * The x402 objects that clients send, as strict as the specification allows: types are not coerced,
 * and members we do not know are dropped, never passed on.
 *
 * Source: x402 specification v1 and v2, PaymentPayload; @x402/core 2.27.0 `PaymentPayloadV1Schema`
 * and `PaymentPayloadV2Schema`.
 */
const shortText = z.string().min(1).max(256)
const jsonObject = z.record(z.string(), z.unknown())

const DECIMAL_DIGITS = /^(0|[1-9][0-9]{0,77})$/

/** Decimal digits without leading zeros that fit an EVM word. */
export const uint256 = z
  .string()
  // One check: zod runs every check whatever the one before it said, and BigInt throws on letters.
  .refine(digits => DECIMAL_DIGITS.test(digits) && BigInt(digits) < 2n ** 256n)

export const evmAddress = z.string().regex(/^0x[0-9a-fA-F]{40}$/)
const bytes32 = z.string().regex(/^0x[0-9a-fA-F]{64}$/)
const hexBytes = z.string().regex(/^0x(?:[0-9a-fA-F]{2})+$/)

export const paymentRequirementsV2 = z.object({
  scheme: shortText,
  network: z.templateLiteral([z.string().min(1).max(64), ':', z.string().min(1).max(128)]),
  amount: uint256,
  asset: shortText,
  payTo: shortText,
  maxTimeoutSeconds: z.number().positive(),
  extra: jsonObject.nullish().transform(extra => extra ?? {}),
})

const paymentRequirementsV1 = z.object({
  scheme: shortText,
  network: shortText,
  maxAmountRequired: uint256,
  resource: z.string().max(2048).nullish(),
  asset: shortText,
  payTo: shortText,
  maxTimeoutSeconds: z.number().positive(),
  extra: jsonObject.nullish().transform(extra => extra ?? {}),
})

export const paymentPayloadV1 = z.object({
  x402Version: z.literal(1),
  scheme: shortText,
  network: shortText,
  payload: jsonObject,
})

export const paymentPayloadV2 = z.object({
  x402Version: z.literal(2),
  accepted: paymentRequirementsV2,
  payload: jsonObject,
  extensions: jsonObject.nullish().transform(extensions => extensions ?? undefined),
})

/**
 * Bodies of `/verify` and `/settle` (x402 specification v1 and v2, "Facilitator interface").
 */
export const facilitatorRequestV1 = z.object({
  x402Version: z.literal(1),
  paymentPayload: paymentPayloadV1,
  paymentRequirements: paymentRequirementsV1,
})

export const facilitatorRequestV2 = z.object({
  x402Version: z.literal(2),
  paymentPayload: paymentPayloadV2.extend({
    resource: z.object({ url: z.string().max(2048) }).nullish(),
  }),
  paymentRequirements: paymentRequirementsV2,
})

/** `payload` of scheme exact on EVM with EIP-3009 (x402 specification, scheme_exact_evm). */
export const eip3009Payload = z.object({
  signature: hexBytes,
  authorization: z.object({
    from: evmAddress,
    to: evmAddress,
    value: uint256,
    validAfter: uint256,
    validBefore: uint256,
    nonce: bytes32,
  }),
})

/** `payload` of scheme exact on EVM with Permit2 (x402 specification, scheme_exact_evm). */
export const permit2Payload = z.object({
  signature: hexBytes,
  permit2Authorization: z.object({
    from: evmAddress,
    permitted: z.object({ token: evmAddress, amount: uint256 }),
    spender: evmAddress,
    nonce: uint256,
    deadline: uint256,
    witness: z.object({ to: evmAddress, validAfter: uint256 }),
  }),
})

/** `payload` of scheme exact on Solana (x402 specification, scheme_exact_svm). */
export const exactSvmPayload = z.object({ transaction: z.string().min(1).max(1644) })

export type PaymentPayloadV1 = z.output<typeof paymentPayloadV1>
export type PaymentPayloadV2 = z.output<typeof paymentPayloadV2>
