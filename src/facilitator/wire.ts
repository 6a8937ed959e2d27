import { z } from 'zod'
import type { NetworkId } from '../core/payment.ts'
import type { SettleAnswer, Supported, VerifyAnswer } from './facilitator.ts'

/**
 * What facilitators answer. Nothing is coerced: `isValid: "true"` is not an answer, and a missing
 * `success` is not a success. Nulls count as absent, because several services write them.
 *
 * Source: x402 specification v2, "Facilitator interface"; @x402/core 2.27.0 response schemas.
 */
const optionalText = z
  .string()
  .max(4096)
  .nullish()
  .transform(text => text ?? undefined)

const verifyAnswer = z.object({
  isValid: z.boolean(),
  invalidReason: optionalText,
  invalidMessage: optionalText,
  payer: optionalText,
})

const settleAnswer = z.object({
  success: z.boolean(),
  errorReason: optionalText,
  errorMessage: optionalText,
  payer: optionalText,
  // Some services leave it out of a failure; a success without one is for the caller to distrust.
  transaction: optionalText.transform(text => text ?? ''),
  amount: optionalText,
})

const supportedAnswer = z.object({
  kinds: z
    .array(
      z.object({
        x402Version: z.number().int(),
        scheme: z.string().max(64),
        network: z.string().max(128),
        extra: z
          .record(z.string(), z.unknown())
          .nullish()
          .transform(extra => extra ?? undefined),
      }),
    )
    .max(10_000),
  extensions: z
    .array(z.string().max(256))
    .nullish()
    .transform(extensions => extensions ?? []),
  signers: z
    .record(z.string(), z.array(z.string()))
    .nullish()
    .transform(signers => signers ?? {}),
})

export function readVerifyAnswer(json: unknown): VerifyAnswer | null {
  return verifyAnswer.safeParse(json).data ?? null
}

/** `network` is ours: what the service calls it is of no use to us. */
export function readSettleAnswer(json: unknown, network: NetworkId): SettleAnswer | null {
  const parsed = settleAnswer.safeParse(json)
  return parsed.success ? { ...parsed.data, network } : null
}

export function readSupported(json: unknown): Supported | null {
  return supportedAnswer.safeParse(json).data ?? null
}
